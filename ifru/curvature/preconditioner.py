"""M⁻¹ for a set of rows: the inverses of their diagonal blocks, each row's in the form that suits it.

Axes: S rows of the set, P rows of one form among them, C held blocks, K columns of a row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ifru.curvature.factors import by_chunk, degrees
from ifru.curvature.gram import gram_rows, largest_degree
from ifru.curvature.inverse import apply, inverse_blocks
from ifru.interactions.table import Int64
from ifru.kernels import blocks as kernels
from ifru.objective import Objective, Slopes
from ifru.solvers.vectors import dot_rows

_CHUNK_BYTES = 1 << 26
"""Bound on the blocks that are built together."""


class Part(Protocol):
    """Some of the rows of a set. at [P], ascending: where they stand in it."""

    def split(self, border: int) -> tuple[Part, Part]:
        """Those of the set's rows before a border, and the others, as parts of two sets."""
        ...

    def into(self, x: Tensor, out: Tensor) -> None:
        """Set these rows of out [S, K] to M⁻¹x."""
        ...


@dataclass(frozen=True)
class Blocks:
    """Inverses [C, K, K] as such: row at[p] of the set has inverses[place[p]]. Not copied where loops are compiled."""

    inverses: Tensor
    place: Tensor
    at: Tensor

    @staticmethod
    def of(inverses: Tensor, place: Int64, at: Int64) -> Blocks:
        device = inverses.device
        places = torch.from_numpy(place).to(device)
        if device.type != "cpu":
            everything = len(place) == len(inverses) and bool((place == np.arange(len(place))).all())
            inverses, places = inverses if everything else inverses[places], torch.arange(len(place), device=device)
        return Blocks(inverses, places, torch.from_numpy(at).to(device))

    def split(self, border: int) -> tuple[Blocks, Blocks]:
        count = _before(self.at, border)
        before, after = self.at[:count], self.at[count:] - border
        if self.inverses.device.type == "cpu":
            return Blocks(self.inverses, self.place[:count], before), Blocks(self.inverses, self.place[count:], after)
        # Off the CPU the place of each is its number.
        first, second = self.inverses[:count], self.inverses[count:]
        return Blocks(first, self.place[:count], before), Blocks(second, self.place[count:] - count, after)

    def into(self, x: Tensor, out: Tensor) -> None:
        if x.device.type == "cpu":
            many = kernels.is_long(len(self.at) * x.shape[1] ** 2)
            multiply = kernels.multiply_many if many else kernels.multiply_some
            stack = self.inverses.numpy().reshape(-1, x.shape[1])
            multiply(stack, self.place.numpy(), self.at.numpy(), x.numpy(), out.numpy())
        else:
            out[self.at] = apply(self.inverses, x[self.at])


@dataclass(frozen=True)
class Diagonals:
    """Rows [P] whose blocks are too many to hold: preconditioned by their diagonals alone, inverses [P, K].

    Energies and products are those of the blocks all the same, made of their interactions, a chunk at a time.
    """

    objective: Objective
    theta: Tensor
    slopes: Slopes
    rows: Int64
    inverses: Tensor
    at: Tensor

    def split(self, border: int) -> tuple[Diagonals | None, Diagonals | None]:
        """Those of the set's rows before a border, and the others; None where there are none."""
        count = _before(self.at, border)
        first = replace(self, rows=self.rows[:count], inverses=self.inverses[:count], at=self.at[:count])
        second = replace(self, rows=self.rows[count:], inverses=self.inverses[count:], at=self.at[count:] - border)
        return first if len(first.rows) else None, second if len(second.rows) else None

    def into(self, x: Tensor, out: Tensor) -> None:
        out[self.at] = self.inverses * x[self.at]

    def energies(self, x: Tensor) -> Tensor:
        """x_e·B_e⁻¹ x_e [P] of these rows of x, in float64."""
        mine, width = x[self.at], x.shape[1]
        size = max(_CHUNK_BYTES // (width * width * x.element_size()), 1)
        parts = [torch.empty(0, dtype=torch.float64, device=x.device)]
        for first in range(0, len(self.rows), size):
            some = slice(first, first + size)
            parts.append(whole(self.objective, self.theta, self.slopes, self.rows[some]).energies(mine[some]))
        return torch.cat(parts)

    def products(self, x: Tensor) -> Tensor:
        """B x [P, K] of these rows of x."""
        mine = x[self.at]
        out = self.objective.ridge[torch.from_numpy(self.rows).to(x.device), None] * mine
        for some, factors in by_chunk(self.objective, self.theta, self.slopes, self.rows):
            along = (factors.values * mine[some][factors.owner]).sum(1, keepdim=True)
            out[some].index_add_(0, factors.owner, along * factors.values)
        return out


@dataclass(frozen=True)
class Preconditioner:
    """M⁻¹ of a set of rows, made once and applied many times. coarse: rows whose diagonals stand for their blocks."""

    parts: tuple[Part, ...]
    coarse: Diagonals | None = None

    def split(self, border: int) -> tuple[Preconditioner, Preconditioner]:
        """M⁻¹ of the set's rows before a border, and of the others."""
        parts = [part.split(border) for part in self.parts]
        coarse = (None, None) if self.coarse is None else self.coarse.split(border)
        first, second = (tuple(halves[side] for halves in parts) for side in (0, 1))
        return Preconditioner(first, coarse[0]), Preconditioner(second, coarse[1])

    def apply(self, x: Tensor) -> Tensor:
        """M⁻¹x [S, K]."""
        x = x.contiguous()
        out = torch.empty_like(x)
        for part in self.parts:
            part.into(x, out)
        if self.coarse is not None:
            self.coarse.into(x, out)
        return out

    def blocks_times(self, x: Tensor, in_metric: Tensor) -> Tensor:
        """B x [S, K], where M x is at hand, which is the same for all rows but the coarse ones."""
        if self.coarse is None:
            return in_metric
        out = in_metric.clone()
        out[self.coarse.at] = self.coarse.products(x)
        return out

    def energies(self, x: Tensor, scaled: Tensor | None = None) -> Tensor:
        """x_e·B_e⁻¹ x_e [S], in float64; exact for every row. scaled: M⁻¹x, where it is at hand."""
        energies = dot_rows(x, self.apply(x) if scaled is None else scaled)
        if self.coarse is not None:
            energies[self.coarse.at] = self.coarse.energies(x)
        return energies


def whole(
    objective: Objective, theta: Tensor, slopes: Slopes, rows: Int64, budget_bytes: float = math.inf
) -> Preconditioner:
    """M⁻¹ of rows [S], ascending, at θ, with nothing cached; past a budget, rows take their diagonals."""
    small = degrees(objective.interactions, rows) <= largest_degree(theta.shape[1])
    few, many = np.flatnonzero(small), np.flatnonzero(~small)
    room = int(min(budget_bytes / (theta.shape[1] ** 2 * theta.element_size()), len(many)))
    many, left = many[:room], many[room:]
    parts: list[Part] = []
    if len(few) > 0:
        parts.append(gram_rows(objective, theta, slopes, rows[few], few))
    if len(many) > 0:
        listed = torch.from_numpy(rows[many]).to(objective.device)
        parts.append(Blocks.of(inverse_blocks(objective, theta, slopes, listed), np.arange(len(many)), many))
    coarse = diagonals(objective, theta, slopes, rows[left], left) if len(left) > 0 else None
    return Preconditioner(tuple(parts), coarse)


def diagonals(objective: Objective, theta: Tensor, slopes: Slopes, rows: Int64, at: Int64) -> Diagonals:
    """The diagonals of the blocks of rows [P], ascending; at [P]: where they stand in the set."""
    device = objective.device
    diagonal = objective.ridge[torch.from_numpy(rows).to(device), None].repeat(1, theta.shape[1])
    for some, factors in by_chunk(objective, theta, slopes, rows):
        diagonal[some].index_add_(0, factors.owner, factors.values.square())
    inverses = torch.where(diagonal > 0, 1 / diagonal, 0)
    return Diagonals(objective, theta, slopes, rows, inverses, torch.from_numpy(at).to(device))


def _before(at: Tensor, border: int) -> int:
    return int((at < border).sum())
