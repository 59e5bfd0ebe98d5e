"""The model, its data and its debt, kept consistent: the one place where parameters move.

The debt is the gradient of the retained objective. What it weighs is the squared block Newton decrement of each row,
g_e·B_e⁻¹ g_e; their sum is the energy of the debt in the documents and in manifests.

Axes: R rows of θ (users first), S listed rows, T touched rows, K columns of a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor

from ifru.curvature.cache import CurvatureCache
from ifru.curvature.preconditioner import Preconditioner
from ifru.interactions.table import Int64
from ifru.kernels.dispatch import total
from ifru.objective import Linearised, Objective, Responding, RowLocal
from ifru.objective.parameters import Steps
from ifru.solvers.trust_region import Descent

_SCATTERED = 1.3
"""An interaction of moved rows, which lie scattered, costs so many of a pass over all."""

_EXACT_AFTER = 8
"""Settlements read each interaction so often, on average, before the gradient is computed anew: that ends the drift of
its incremental sums, and costs little beside them at any size of the data."""

NONE = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Removal:
    """What a deletion did to the debt.

    touched [T]: rows that lost interactions and have some left. emptied: rows that have none left, now zero.
    added: sum of the squared decrements of what the deletion added to the gradient. scaled
    [T, K]: M⁻¹g of the touched rows.
    """

    touched: Tensor
    emptied: Tensor
    added: float
    scaled: Tensor


class State:
    """A point, which holds θ [R, K] and the gradient there, and the squared decrements [R] of its rows.

    Between `move` and `settle` gradient and decrements are those of before the move; everything else that reads them
    settles first. read_since_exact: interactions whose change was added to the gradient since it was last computed
    anew. origins: rows [S] and where they were [S, K], in the order in which they moved since the last deletion.
    A state that has raised an error is lost, but for that.
    """

    def __init__(self, objective: Objective, theta: Tensor, cache: CurvatureCache, debt: Tensor | None = None) -> None:
        """debt [R, K]: what a model owes that answers by a response; nothing where none is given."""
        self.objective, self.cache = objective, cache
        theta = theta.to(objective.device, objective.dtype).clone()
        if objective.capabilities.response:
            debt = torch.zeros_like(theta) if debt is None else debt.to(theta).clone()
            self.point = cast("Responding", objective).owing(theta, debt)
        else:
            self.point = objective.at(theta)
        self.rows = torch.arange(len(theta), device=objective.device)
        self.read_since_exact = 0
        self.origins: list[tuple[Tensor, Tensor]] = []
        self._moved: tuple[Tensor, Tensor, Tensor] | None = None
        self._stale: list[tuple[Tensor, float]] = []
        self.decrements = cache.decrements(self.point, self.rows, self.point.gradient)
        # Computed when it is first asked for, which the first update need not wait for.
        _ = self.point.value

    @property
    def local(self) -> RowLocal:
        """The point of a model whose scores depend on their own two rows alone."""
        return cast("RowLocal", self.point)

    @property
    def total_decrement(self) -> float:
        """Sum of the squared decrements of all rows."""
        return total(self.decrements)

    def preconditioner(self, rows: Tensor) -> Preconditioner:
        """M⁻¹ of rows [S], ascending, as near to the point as the cache keeps it."""
        return self.cache.preconditioner(self.point, rows)

    def remove(self, interactions: Int64, relabelled: Int64 = NONE) -> Removal:
        """Take interactions, just deleted from the table, out of the objective and into the debt, and then the new
        labels of others."""
        self.settle()
        self.origins.clear()
        self.cache.remove(self.point, interactions)
        change = self.objective.remove(self.point, interactions)
        self.point = change.point
        if change.stale is not None:
            self.cache.discard(change.stale.cpu().numpy())
        gradient, empty = self.point.gradient, self.objective.ridge[change.rows] == 0
        emptied, touched = change.rows[empty], change.rows[~empty]
        for table in (self.point.theta, gradient, self.decrements):
            table[emptied] = 0
        if change.spillover is None:
            preconditioner, debt = self.preconditioner(touched), gradient[touched]
            added, scaled = preconditioner.decrements(change.direct[~empty]), preconditioner.apply(debt)
            self.decrements[touched] = preconditioner.decrements(debt, scaled)
        else:
            self.cache.add_staleness(self.rows.cpu().numpy(), change.staleness)
            preconditioner = self.preconditioner(self.rows)
            changed = change.spillover.index_add(0, change.rows, change.direct)
            added = preconditioner.decrements(changed.masked_fill(self.objective.ridge[:, None] == 0, 0))
            scaled = preconditioner.apply(gradient)
            self.decrements, scaled = preconditioner.decrements(gradient, scaled), scaled[touched]
        removal = Removal(touched, emptied, float(added.sum()), scaled)
        return self._relabel(relabelled, removal) if len(relabelled) else removal

    def _relabel(self, interactions: Int64, removal: Removal) -> Removal:
        """Take new labels of interactions, which the table has by now, into the debt: two passes over all.

        removal: what was just deleted. Returns what both did, with all rows whose gradient has changed. Raises
        ArithmeticError where labels say nothing.
        """
        self.settle()
        objective, theta = self.objective, self.point.theta
        debt, before = self.point.gradient, objective.at(theta).gradient.clone()
        try:
            rebuilt = objective.relabel(interactions)
        except ValueError as error:
            raise ArithmeticError(str(error)) from error
        after = objective.at(theta)
        change = (after.gradient - before).masked_fill(objective.ridge[:, None] == 0, 0)
        response = objective.capabilities.response
        self.point = cast("Responding", objective).owing(theta, debt + change) if response else after
        if rebuilt:
            self.cache.clear()
        self.read_since_exact = 0
        rows = change.ne(0).any(1).nonzero()[:, 0]
        added = self.cache.decrements(self.point, rows, change[rows])
        again = self.rows if rebuilt else rows
        self.decrements[again] = self.cache.decrements(self.point, again, self.point.gradient[again])
        touched = torch.unique(torch.cat([removal.touched, rows]))
        scaled = self.preconditioner(touched).apply(self.point.gradient[touched])
        return Removal(touched, removal.emptied, removal.added + total(added), scaled)

    def move(self, rows: Tensor, step: Tensor, changed: Tensor | None = None) -> None:
        """θ [S] += step [S, K] for rows, ascending; what that does to the gradient waits for `settle`.

        changed: rows whose gradient is exact after earlier moves, but whose decrement is not.
        """
        self.settle_move()
        theta = self.point.theta
        before = theta[rows]
        self._moved = (rows, before, self.rows[:0] if changed is None else changed)
        self.origins.append((rows, before))
        theta[rows] += step

    def put_back(self, since: int = 0) -> State:
        """A state with all rows of `origins` from a place on where they were; this one is lost."""
        theta = self.point.theta
        for rows, before in reversed(self.origins[since:]):
            theta[rows] = before
        self.cache.clear()
        state = State(self.objective, theta, self.cache)
        state.origins = self.origins[:since]
        return state

    def take_origins(self) -> tuple[Tensor, Tensor]:
        """Rows [S], ascending, of `origins`, which are empty afterwards, and where they were at first [S, K]."""
        rows = torch.unique(torch.cat([self.rows[:0], *(rows for rows, _ in self.origins)]))
        before = self.point.theta.new_empty(len(rows), self.point.theta.shape[1])
        for moved, origin in reversed(self.origins):
            before[torch.searchsorted(rows, moved)] = origin
        self.origins.clear()
        return rows, before

    def land(self, steps: Steps, before: Tensor) -> None:
        """Take the last digits that readers find who add steps to where their rows were [S, K]."""
        self.point.theta[steps.rows] = steps.of(before)

    def add_staleness(self, rows: Tensor, before: Tensor) -> None:
        """Rows [S] have moved from `before` [S, K]: once the answer is out, the cache is told which blocks see it."""
        self._stale.append((rows.sort().values, _share(self.point.theta[rows] - before, before)))

    def settled_point(self) -> Linearised:
        """Where a descent on all rows starts."""
        self.settle_move()
        return self.point

    def metric(self, point: Linearised) -> Preconditioner:
        """M⁻¹ of all rows, as near to a point as the cache keeps it."""
        share = _share(point.theta - self.point.theta, self.point.theta)
        self.cache.add_staleness(self.rows.cpu().numpy(), share, share)
        return self.cache.preconditioner(point, self.rows)

    def arrive(self, descent: Descent) -> None:
        """Take over the point where a descent ended."""
        self.origins.append((self.rows, self.point.theta))
        self.point, self.decrements = descent.point, descent.decrements
        self.read_since_exact = 0

    def settle(self) -> int:
        """Make gradient and cache exact after a move and a deletion; returns the number of interactions read."""
        self.cache.finish_deletions()
        return self.settle_move()

    def settle_move(self) -> int:
        """Make the gradient exact after a move; what the cache owes to a deletion waits until the answer is out."""
        if self._moved is None:
            return 0
        rows, before, changed = self._moved
        self._moved = None
        if not self._stale:
            self.add_staleness(rows, before)
        if not self.objective.capabilities.row_local:
            return self._pass_over_all(rows, before)
        reached = [self._tell_cache(*stale) for stale in self._stale]
        self._stale.clear()
        reads, retained = incident(self.objective, rows), self.objective.interactions.retained
        self.read_since_exact += int(reads)
        if _SCATTERED * reads > retained or self.read_since_exact > _EXACT_AFTER * retained:
            return self._pass_over_all(rows, before)
        read = self.local.update(rows, before)
        near = torch.unique(torch.cat([rows, changed, *reached]))
        self.decrements[near] = self.cache.decrements(self.point, near, self.point.gradient[near])
        return read

    def _tell_cache(self, rows: Tensor, share: float) -> Tensor:
        """Tell the cache of a move; returns the rows whose gradient it has changed."""
        near, met = self.local.neighbours(rows)
        degree = degree_of(self.objective, near).clamp(min=1)
        self.cache.add_staleness(near.cpu().numpy(), (share * (met / degree).clamp(max=1)).double().cpu().numpy())
        return near

    def _pass_over_all(self, rows: Tensor, before: Tensor) -> int:
        """Settle a move of rows [S] from `before` [S, K] by computing the gradient of all rows anew."""
        theta, step = self.point.theta, torch.zeros_like(self.point.theta)
        step[rows] = theta[rows] - before
        of_all = _share(step, theta)
        for _, share in self._stale:
            self.cache.add_staleness(self.rows.cpu().numpy(), share, of_all)
        self._stale.clear()
        theta[rows] = before
        self.point, _ = self.point.advance(step)
        # Who holds views of θ sees the move.
        theta.copy_(self.point.theta)
        self.decrements = self.cache.decrements(self.point, self.rows, self.point.gradient)
        self.read_since_exact = 0
        return self.objective.interactions.retained


def _share(step: Tensor, before: Tensor) -> float:
    """How large a step is beside what it moves."""
    return float(step.norm() / before.norm().clamp(min=torch.finfo(step.dtype).tiny))


def incident(objective: Objective, rows: Tensor) -> float:
    """Retained interactions of rows [S]; those of two of them count twice."""
    return float(degree_of(objective, rows).sum())


def degree_of(objective: Objective, rows: Tensor) -> Tensor:
    """Retained interactions [S] of rows, in float64."""
    degree = torch.from_numpy(objective.interactions.degree[rows.cpu().numpy()])
    return degree.to(objective.device, torch.float64)
