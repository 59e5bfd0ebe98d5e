"""The curvature of the weights that all scores share: one block, held and kept up to date beside those of the rows.

    B = (N/M)·Σ_z w·ℓ''·JJᵀ + ridge·I        over a sample of M of the N retained interactions, J = ∂s/∂G

It preconditions and measures, so a sample does; it is spread evenly over the table. Deleted interactions are taken out
of the sum, as they were where it was built: their J is computed there, however far θ has moved since. Past a number of
weights, the diagonal stands for the block.

Axes: R rows of θ, G shared weights, M sampled interactions, K columns of a row.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol, cast

import numpy as np
import torch
from torch import Tensor

from ifru.curvature.preconditioner import Part
from ifru.interactions.table import Bool, Int64
from ifru.objective import Linearised, Objective

DENSE = 4096
"""More shared weights than these are preconditioned by their diagonal."""

_SAMPLE = 1 << 13
_PER_WEIGHT = 16
"""Sampled are so many interactions, or so many per shared weight where that is more: eigenvalues are a quarter off."""


_PANEL = 512
"""Columns of B that are summed at a time, from their diagonal down: the other half is the same."""

_LEAST_PIVOT = 0.1
"""Of what is left of B along a deleted interaction. Below it the inverse loses digits, and is built anew."""


class _SharedFactors(Protocol):
    def shared_factors(self, interactions: Tensor) -> Iterator[Tensor]:
        """√(w·ℓ'')·J [n, G] of listed interactions as they are now, a chunk at a time."""
        ...


@dataclass(frozen=True)
class SharedBlock:
    """B⁻¹ [G, G], or the inverse of its diagonal [G]; None where the weights do not move. real [G]: where they stand in
    their rows, the rest of which is padding. at: where these rows stand in the set."""

    inverse: Tensor | None
    real: Tensor
    at: Tensor

    def split(self, border: int) -> tuple[SharedBlock, SharedBlock]:
        """Shared rows are the last ones: all of them stand behind a border between users and items."""
        return SharedBlock(None, self.real[:0], self.at[:0]), replace(self, at=self.at - border)

    def into(self, x: Tensor, out: Tensor) -> None:
        image = x.new_zeros(len(self.at) * x.shape[1])
        if self.inverse is not None:
            weights = x[self.at].reshape(-1)[self.real]
            image[self.real] = self.inverse @ weights if self.inverse.ndim == 2 else self.inverse * weights
        out[self.at] = image.view(-1, x.shape[1])


class SharedCurvature:
    """B of an objective's shared weights. It is dropped once it is stale, or rounding of deletions adds up in it."""

    def __init__(self, objective: Objective, stale: float, inexact: float) -> None:
        """stale: share of θ that may have moved since B was built. inexact: error that rounding may leave in it."""
        self._objective, self._stale, self._inexact = objective, stale, inexact
        table = objective.interactions
        self.first = table.users + table.items
        marked = torch.zeros(len(objective.ridge), objective.layout.width, dtype=torch.bool, device=objective.device)
        for tensor in objective.layout.parameters(marked).shared.values():
            tensor.fill_(True)
        self._real = marked[self.first :].reshape(-1).nonzero()[:, 0]
        self._moves = len(self._real) > 0 and float(objective.ridge[self.first]) > 0
        self.clear()

    def clear(self) -> None:
        """Hold nothing."""
        self._inverse: Tensor | None = None
        self._built: Linearised | None = None
        self._sampled: Bool = np.zeros(0, dtype=np.bool_)
        self._waiting: list[Iterator[Tensor]] = []
        self._scale = self._staleness = self._error = 0.0

    @property
    def built_at(self) -> Tensor | None:
        """θ [R, K] that B was built at, where one is held."""
        return None if self._built is None else self._built.theta

    def part(self, point: Linearised, at: Tensor) -> Part:
        """M⁻¹ of the shared rows, which stand at `at` in a set."""
        if self._moves and (self._inverse is None or self._staleness > self._stale):
            self._build(point)
        return SharedBlock(self._inverse, self._real, at)

    def add_staleness(self, share: float) -> None:
        """A share of what B is made of has moved."""
        self._staleness += share

    def remove(self, interactions: Int64) -> None:
        """Take interactions out, which have just been deleted from the table but not from the objective.

        They leave the inverse with `finish_deletions`, for which a local answer does not wait.
        """
        if self._inverse is None:
            return
        listed = interactions[self._sampled[interactions]]
        if len(listed) > len(self._real):
            self.clear()
        elif len(listed) > 0:
            self._sampled[listed] = False
            self._waiting.append(self._factors(listed))

    def finish_deletions(self) -> None:
        """Finish what `remove` began, and keep nothing of rows that have no data any more."""
        for chunks in self._waiting:
            for factors in chunks:
                self._take_out(math.sqrt(self._scale) * factors)
        self._waiting = []
        if (base := self.built_at) is not None:
            emptied = np.flatnonzero(self._objective.interactions.degree == 0)
            base[torch.from_numpy(emptied).to(base.device)] = 0
        if self._error > self._inexact:
            self.clear()

    def _take_out(self, factors: Tensor) -> None:
        """B ← B − WᵀW for W [n, G], by the Woodbury identity."""
        inverse = self._inverse
        if inverse is None:
            return
        if inverse.ndim == 1:
            self._inverse = 1 / (1 / inverse - factors.square().sum(0))
            if bool((self._inverse <= 0).any()):
                self.clear()
            return
        solved = factors @ inverse
        left = torch.eye(len(factors), dtype=inverse.dtype, device=inverse.device) - solved @ factors.mT
        lower, info = torch.linalg.cholesky_ex(left)
        pivot = 0.0 if int(info) != 0 else float(lower.diagonal().min().square())
        if pivot < _LEAST_PIVOT:
            self.clear()
            return
        self._error += 4 * torch.finfo(inverse.dtype).eps / pivot**2
        half = torch.linalg.solve_triangular(lower, solved, upper=False)
        self._inverse = inverse + half.mT @ half

    def _build(self, point: Linearised) -> None:
        """Raises ArithmeticError where B is not positive definite, which only numbers that are not finite lead to."""
        table, objective = self._objective.interactions, self._objective
        alive = np.flatnonzero(table.alive)
        count = min(max(_SAMPLE, _PER_WEIGHT * len(self._real)), len(alive), _PER_WEIGHT * DENSE)
        sample = alive[np.linspace(0, len(alive), count, endpoint=False).astype(np.int64)]
        self.clear()
        self._sampled = np.zeros(len(table), dtype=np.bool_)
        self._sampled[sample] = True
        self._scale = len(alive) / max(count, 1)
        dense, size = len(self._real) <= DENSE, len(self._real)
        total = torch.zeros((size, size) if dense else size, dtype=objective.dtype, device=objective.device)
        self._built = objective.at(point.theta.clone())
        for factors in self._factors(sample):
            if dense:
                for first in range(0, size, _PANEL):
                    panel = slice(first, first + _PANEL)
                    total[first:, panel].addmm_(factors[:, first:].mT, factors[:, panel])
            else:
                total += factors.square().sum(0)
        ridge = float(objective.ridge[self.first])
        total = self._scale * total.double()
        if not dense:
            self._inverse = (1 / (total + ridge)).to(objective.dtype)
            return
        lower, info = torch.linalg.cholesky_ex(total + ridge * torch.eye(size, device=total.device))
        if int(info) != 0:
            raise ArithmeticError("the curvature of the shared weights is not positive definite")
        self._inverse = torch.cholesky_inverse(lower).to(objective.dtype)

    def _factors(self, interactions: Int64) -> Iterator[Tensor]:
        listed = torch.from_numpy(interactions).to(self._objective.device)
        return cast("_SharedFactors", self._built).shared_factors(listed)
