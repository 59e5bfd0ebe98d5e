"""The rows that a push knows of: whose gradient the batch has changed, or that had much left from before.

Their decrements are estimates by gradient and penalty alone, scaled by what the cached blocks of the touched rows say.

Axes: T touched rows, S listed rows.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ifru.engine.state import State
from ifru.engine.supports import TINY, carrying
from ifru.kernels import frontier as kernels
from ifru.kernels.dispatch import compiled

_WITHIN = 1 / 16
"""A half-step takes the rows whose decrement per interaction is at least this share of the best row's."""


class Frontier:
    """The active rows of both sides. Their estimates stand in `State.decrements` until the state settles.

    total: sum of the squared decrements, of the rows outside too.
    """

    def __init__(self, state: State) -> None:
        self._state, self._users = state, state.objective.interactions.users
        # Scratch over all rows, clean between pushes: a push then costs what it touches, not the size of the model.
        self._active = torch.zeros_like(state.rows, dtype=torch.bool)
        # A side's active rows stand from its first row on, so many as `_counts` says.
        self._listed, self._counts = torch.empty_like(state.rows), np.zeros(2, dtype=np.int64)
        self._found = torch.empty_like(state.rows)
        self._scale = 1.0
        self.total = 0.0

    def open(self, touched: Tensor, total: float, allowed: float) -> None:
        """Start with the touched rows [T], and with others that carry much where those carry too much together."""
        known, penalised = float(self._state.decrements[touched].sum()), float(self._penalised(touched).sum())
        self._scale = known / penalised if penalised > 0 else 1.0
        self.total = total
        self._add(touched)
        self._add(carrying(self._state, touched, allowed))

    def close(self) -> Tensor:
        """The rows that were active. None is afterwards."""
        rows = torch.cat([self._side(0), self._side(1)])
        self._active[rows] = False
        self._counts[:] = 0
        return rows

    def dense(self, side: int) -> Tensor:
        """Rows [S] of a side, ascending, whose decrement per interaction is near the best of both sides."""
        decrements, ridge = self._state.decrements, self._state.objective.ridge
        if compiled(decrements.device):
            tables = decrements.numpy(), ridge.numpy(), self._listed.numpy(), self._counts
            found = kernels.dense(*tables, self._users, side, _WITHIN, TINY, self._found.numpy())
            # By numpy: to compile a sort takes longer than most loops.
            return torch.from_numpy(np.sort(self._found.numpy()[:found]))
        density = [decrements[rows] / ridge[rows] for rows in (self._side(0), self._side(1))]
        best = max((float(each.max()) for each in density if len(each)), default=0.0)
        return self._side(side)[density[side] >= max(_WITHIN * best, TINY)].sort().values

    def moved(self, rows: Tensor) -> None:
        """Active rows [S] have moved."""
        self.put(rows, self._scale * self._penalised(rows))

    def activate(self, rows: Tensor, penalised: Tensor) -> None:
        """The gradient of rows [S] has changed, penalised [S] is its ‖g_e‖²/ridge_e: they are active from now on."""
        decrements = self._state.decrements
        if compiled(decrements.device):
            tables = self._active.numpy(), decrements.numpy(), self._listed.numpy(), self._counts
            self.total += kernels.activate(rows.numpy(), penalised.numpy(), self._scale, self._users, *tables)
            return
        self._add(rows[~self._active[rows]])
        self.put(rows, self._scale * penalised)

    def put(self, rows: Tensor, decrements: Tensor) -> None:
        """Set the decrements [S] of rows."""
        self.total += float((decrements - self._state.decrements[rows]).sum())
        self._state.decrements[rows] = decrements

    def _add(self, rows: Tensor) -> None:
        self._active[rows] = True
        of_users = rows < self._users
        for side, mine in enumerate((rows[of_users], rows[~of_users])):
            first = side * self._users + int(self._counts[side])
            self._listed[first : first + len(mine)] = mine
            self._counts[side] += len(mine)

    def _side(self, side: int) -> Tensor:
        """The active rows of a side: a view."""
        first = side * self._users
        return self._listed[first : first + int(self._counts[side])]

    def _penalised(self, rows: Tensor) -> Tensor:
        """‖g_e‖²/ridge_e [S], in float64."""
        penalised: Tensor = self._state.point.gradient[rows].square().sum(1) / self._state.objective.ridge[rows]
        return penalised.double()
