"""The model, its data and its debt, kept consistent: the one place where parameters move.

Axes: N interactions, R = U + I rows (users first), S listed rows, T touched rows, K columns of a row.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ifru.curvature.cache import CurvatureCache
from ifru.curvature.preconditioner import Preconditioner
from ifru.interactions.table import Int64
from ifru.objective import Objective
from ifru.solvers.trust_region import Descent, Point
from ifru.solvers.vectors import total

_SCATTERED = 1.3
"""An interaction of moved rows, which lie scattered, costs so many of a pass over all."""

_EXACT_AFTER = 8
"""Settlements read each interaction so often, on average, before the debt is computed anew: that ends the drift of its
incremental sums, and costs little beside them at any size of the data."""


@dataclass(frozen=True)
class Removal:
    """What a deletion did to the debt.

    touched [T]: rows that lost interactions and have some left. emptied: rows that have none left, now zero.
    energy: energy of what the deletion added to the debt.
    """

    touched: Tensor
    emptied: Tensor
    energy: float


class State:
    """θ [R, K], the slopes [N] at it, its debt r = ∇L [R, K] and the energy r_e·B_e⁻¹ r_e [R] of each row.

    Between `move` and `settle` the debt is that of before the move; everything else that reads it settles first.
    read_since_exact: interactions whose change was added to the debt since it was last computed anew. An engine whose
    state has raised an error is lost.
    """

    def __init__(self, objective: Objective, theta: Tensor, cache: CurvatureCache) -> None:
        self.objective, self.cache = objective, cache
        self.theta = theta.to(objective.device, objective.dtype).clone()
        self.rows = torch.arange(len(theta), device=objective.device)
        self.read_since_exact = 0
        self._moved: tuple[Tensor, Tensor, Tensor] | None = None
        self._drifts: list[tuple[Tensor, float]] = []
        start = Point.at(objective, self.theta)
        self._value, self.slopes, self.debt = start.value, start.slopes, start.gradient
        self.energy = cache.energies(self.theta, self.slopes, self.rows, self.debt)

    @property
    def total_energy(self) -> float:
        """Energy of the whole debt."""
        return total(self.energy)

    def remove(self, interactions: Int64) -> Removal:
        """Take interactions [M], already retired in the table, out of the objective and into the debt."""
        self.settle()
        objective = self.objective
        listed = torch.from_numpy(interactions).to(objective.device)
        rows, pulled = objective.pull(self.theta, self.slopes, listed)
        objective.retire(interactions)
        self.cache.remove(self.theta, self.slopes, interactions)
        self.slopes.first[listed] = 0
        self.slopes.second[listed] = 0
        self.debt[rows] -= pulled
        empty = objective.ridge[rows] == 0
        emptied, touched = rows[empty], rows[~empty]
        for table in (self.theta, self.debt, self.energy):
            table[emptied] = 0
        preconditioner = self.cache.preconditioner(self.theta, self.slopes, touched)
        added = preconditioner.energies(pulled[~empty])
        self.energy[touched] = preconditioner.energies(self.debt[touched])
        return Removal(touched, emptied, float(added.sum()))

    def move(self, rows: Tensor, step: Tensor, changed: Tensor | None = None) -> None:
        """θ [S] += step [S, K] for rows, ascending; what that does to the debt waits for `settle`.

        changed [V]: rows whose debt is exact after earlier moves, but whose energy is not.
        """
        self.settle_move()
        self._moved = (rows, self.theta[rows], self.rows[:0] if changed is None else changed)
        self.theta[rows] += step

    def drifted(self, rows: Tensor, before: Tensor) -> None:
        """Rows [S] have moved from `before` [S, K]: once the answer is out, the cache is told which blocks see it."""
        self._drifts.append((rows.sort().values, _share(self.theta[rows] - before, before)))

    def point(self) -> Point:
        """Where a descent on all rows starts."""
        self.settle_move()
        return Point(self.theta, self._value, self.slopes, self.debt)

    def metric(self, point: Point) -> Preconditioner:
        """M⁻¹ of all rows, as near to a point as the cache keeps it."""
        self.cache.drifted(self.rows.cpu().numpy(), _share(point.theta - self.theta, self.theta))
        return self.cache.preconditioner(point.theta, point.slopes, self.rows)

    def arrive(self, descent: Descent) -> None:
        """Take over the point where a descent ended."""
        point = descent.point
        self.theta, self.slopes, self.debt, self._value = point.theta, point.slopes, point.gradient, point.value
        self.energy = descent.energy
        self.read_since_exact = 0

    def settle(self) -> int:
        """Make the debt exact after a move, and the cache after a deletion; returns the number of interactions read."""
        self.cache.purge()
        return self.settle_move()

    def settle_move(self) -> int:
        """Make the debt exact after a move; what the cache owes to a deletion waits until the answer is out."""
        if self._moved is None:
            return 0
        rows, before, changed = self._moved
        self._moved = None
        if not self._drifts:
            self.drifted(rows, before)
        reached = [self._drift(*drift) for drift in self._drifts]
        self._drifts.clear()
        reads, retained = incident(self.objective, rows), self.objective.interactions.retained
        self.read_since_exact += int(reads)
        if _SCATTERED * reads > retained or self.read_since_exact > _EXACT_AFTER * retained:
            self._pass_over_all(rows, before)
            return retained
        read = self.objective.spread(before, self.theta, self.slopes, rows, self.debt)
        near = torch.unique(torch.cat([rows, changed, *reached]))
        self.energy[near] = self.cache.energies(self.theta, self.slopes, near, self.debt[near])
        return read

    def _drift(self, rows: Tensor, share: float) -> Tensor:
        """Tell the cache of a move; returns the rows whose debt it has changed."""
        near, met = self.objective.neighbours(rows)
        degree = (self.objective.ridge[near] / self.objective.l2).clamp(min=1)
        self.cache.drifted(near.cpu().numpy(), (share * (met / degree).clamp(max=1)).double().cpu().numpy())
        return near

    def _pass_over_all(self, rows: Tensor, before: Tensor) -> None:
        """Settle a move of rows [S] from `before` [S, K], and compute the debt of all rows anew."""
        step, start = torch.zeros_like(self.theta), self.theta.clone()
        step[rows], start[rows] = self.theta[rows] - before, before
        ahead = self.objective.advance(start, self.slopes, step)
        self.slopes, self.debt = ahead.slopes, ahead.gradient
        self._value += ahead.change
        self.energy = self.cache.energies(self.theta, self.slopes, self.rows, self.debt)
        self.read_since_exact = 0


def _share(step: Tensor, before: Tensor) -> float:
    """How large a step is beside what it moves."""
    return float(step.norm() / before.norm().clamp(min=torch.finfo(step.dtype).tiny))


def incident(objective: Objective, rows: Tensor) -> float:
    """Retained interactions of rows [S]; those of two of them count twice."""
    return float(objective.ridge[rows].sum(dtype=torch.float64)) / objective.l2
