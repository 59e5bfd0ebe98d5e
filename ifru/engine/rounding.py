"""Steps in whole numbers of a spacing that each row has: a version stores them in a byte or two in place of four.

What rounding leaves is debt like any other: the gradient is computed where the rounded steps lead. In the metric of the
diagonal blocks all rows are rounded alike, which for a given debt needs the fewest digits (reverse water-filling, Cover
and Thomas, Elements of Information Theory, 10.3.3).

Axes: R rows of θ, K columns of a row.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ifru.objective import Linearised
from ifru.objective.parameters import MOST_COUNT, MOST_EXPONENT, Steps
from ifru.solvers.trust_region import LOOSE

SHARE, LOOSE_SHARE = 0.4, 0.15
"""Of the residual influence that an answer may leave, so much may come of rounding; of a loose one less, whose steps
take few digits anyway, but each product counts."""

_COUPLED = 1.25
"""Rows pass errors on to each other: the energy of these is about so many times what the blocks alone say."""

_ULPS = 4
"""Where several steps were added up one by one, so many last digits may be lost."""


@dataclass(frozen=True)
class Grid:
    """exponent [R]: steps of a row are multiples of 2^exponent, in float32 exactly."""

    exponent: Tensor

    @staticmethod
    def of(curvature: Tensor, width: int, energy: float) -> Grid:
        """Where rounding adds about `energy` to that of the debt. curvature [R]: of rows that move, else 0."""
        rows = max(int((curvature > 0).sum()), 1)
        each = 12 * energy / (_COUPLED * rows * width)
        exponent = (0.5 * torch.log2(each / curvature.clamp(min=torch.finfo(curvature.dtype).tiny))).round()
        return Grid(exponent.clamp(-MOST_EXPONENT, MOST_EXPONENT))

    @property
    def spacing(self) -> Tensor:
        """[R, 1]."""
        return torch.exp2(self.exponent)[:, None]

    def rounded(self, step: Tensor) -> Tensor:
        """The nearest step [R, K] that is one on the grid."""
        return self._counts(step) * self.spacing

    def of_rows(self, rows: Tensor) -> Grid:
        """The grid of some rows alone."""
        return Grid(self.exponent[rows])

    def steps(self, rows: Tensor, before: Tensor, after: Tensor) -> Steps:
        """The steps of those of its rows that took some, and in few digits.

        rows [R]: their numbers. before, after [R, K]: where they were, and are.
        """
        counts = self._counts(after - before)
        steps = Steps(rows, self.exponent, counts)
        lost = _ULPS * torch.finfo(after.dtype).eps * torch.maximum(before.abs(), after.abs())
        on_grid = ((steps.of(before) - after).abs() <= lost).all(1)
        return steps.only(on_grid & counts.ne(0).any(1) & (counts.abs().amax(1) <= MOST_COUNT))

    def _counts(self, step: Tensor) -> Tensor:
        return (step / self.spacing).round()


class Rounding:
    """The grids of an engine's answers, one after the other."""

    def __init__(self, stored: torch.dtype) -> None:
        """stored: the type in which versions hold tables."""
        self._stored = stored
        self._curvature: Tensor | None = None
        self._grid: Grid | None = None

    def grid(self, point: Linearised, tolerance: float, batch: float) -> Grid | None:
        """What the steps of an answer are rounded to that may leave so much residual influence of a batch's energy.

        None where versions do not hold θ as it is computed.
        """
        if not self._stored == point.theta.dtype == torch.float32 or batch == 0:
            return None
        if self._curvature is None:
            # It falls as interactions go, so that a grid of before is only finer than need be.
            self._curvature = _curvature(point)
        curvature = self._curvature.masked_fill(point.objective.ridge == 0, 0)
        share = LOOSE_SHARE if tolerance > LOOSE else SHARE
        self._grid = Grid.of(curvature, point.theta.shape[1], (share * tolerance) ** 2 * batch)
        return self._grid

    def steps(self, rows: Tensor, before: Tensor, after: Tensor) -> Steps | None:
        """The steps by which an answer has moved rows [S], ascending, as for `Grid.steps`; None without a grid."""
        grid, self._grid = self._grid, None
        return None if grid is None else grid.of_rows(rows).steps(rows, before, after)


def _curvature(point: Linearised) -> Tensor:
    """The mean of the diagonal of each row's block [R], about: by one product with random signs (Hutchinson)."""
    ridge, generator = point.objective.ridge, torch.Generator().manual_seed(0)
    signs = 1.0 - 2.0 * torch.randint(0, 2, point.theta.shape, generator=generator)
    signs = signs.to(point.theta).masked_fill(ridge[:, None] == 0, 0)
    return torch.maximum((signs * point.product(signs)).mean(1), ridge.to(point.theta))
