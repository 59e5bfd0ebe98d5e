"""M⁻¹ for a set of rows: the inverses of their diagonal blocks, each row's in the form that suits it.

A block B_e = Σ w·ℓ''·JJᵀ + λ·deg(e)·I is well conditioned by its penalty, so that its inverse can be held as such.

Axes: S rows of the set, P rows of one form among them, C held blocks, K columns of a row.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ifru.curvature.common import AlikeRows, CommonRows, common_rows
from ifru.curvature.factors import GramRows, by_chunk, check_definite, factor_counts, gram_rows, most_factors
from ifru.interactions.table import Int64
from ifru.kernels import blocks as kernels
from ifru.kernels.dispatch import compiled, dot_rows, is_long
from ifru.objective import Linearised

_CHUNK_BYTES = 1 << 26
_BUILT_BYTES = 1 << 26
"""Bounds on the blocks that are made for a moment, and on those that are built together to be kept."""


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
        if not compiled(device):
            everything = len(place) == len(inverses) and bool((place == np.arange(len(place))).all())
            inverses, places = inverses if everything else inverses[places], torch.arange(len(place), device=device)
        return Blocks(inverses, places, torch.from_numpy(at).to(device))

    def split(self, border: int) -> tuple[Blocks, Blocks]:
        count = _before(self.at, border)
        before, after = self.at[:count], self.at[count:] - border
        if compiled(self.inverses.device):
            return Blocks(self.inverses, self.place[:count], before), Blocks(self.inverses, self.place[count:], after)
        # Off the CPU the place of each is its number.
        first, second = self.inverses[:count], self.inverses[count:]
        return Blocks(first, self.place[:count], before), Blocks(second, self.place[count:] - count, after)

    def into(self, x: Tensor, out: Tensor) -> None:
        if compiled(x.device):
            many = is_long(len(self.at) * x.shape[1] ** 2)
            stack = self.inverses.numpy().reshape(-1, x.shape[1])
            kernels.multiply(stack, self.place.numpy(), self.at.numpy(), x.numpy(), out.numpy(), many)
        else:
            out[self.at] = torch.bmm(self.inverses, x[self.at][:, :, None])[:, :, 0]


@dataclass(frozen=True)
class Diagonals:
    """Rows [P] whose blocks are too many to hold: preconditioned by their diagonals alone, inverses [P, K].

    Decrements and products are those of the blocks all the same, made of their interactions, a chunk at a time.
    """

    point: Linearised
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

    def decrements(self, x: Tensor) -> Tensor:
        """x_e·B_e⁻¹ x_e [P] of these rows of x, in float64."""
        mine, width = x[self.at], x.shape[1]
        size = max(_CHUNK_BYTES // (width * width * x.element_size()), 1)
        parts = [torch.empty(0, dtype=torch.float64, device=x.device)]
        for first in range(0, len(self.rows), size):
            some = slice(first, first + size)
            parts.append(whole(self.point, self.rows[some]).decrements(mine[some]))
        return torch.cat(parts)

    def products(self, x: Tensor) -> Tensor:
        """B x [P, K] of these rows of x."""
        mine = x[self.at]
        if not self.point.objective.capabilities.own_blocks:
            return torch.cat([(block @ mine[some, :, None])[:, :, 0] for some, block in _built(self.point, self.rows)])
        out = self.point.objective.ridge[torch.from_numpy(self.rows).to(x.device), None] * mine
        for some, factors in by_chunk(self.point, self.rows):
            along = (factors.values * mine[some][factors.owner]).sum(1, keepdim=True)
            out[some].index_add_(0, factors.owner, along * factors.values)
        return out


@dataclass(frozen=True)
class Preconditioner:
    """M⁻¹ of a set of rows, made once and applied many times. fallback: rows whose diagonals stand for their blocks."""

    parts: tuple[Part, ...]
    fallback: Diagonals | None = None

    def split(self, border: int) -> tuple[Preconditioner, Preconditioner]:
        """M⁻¹ of the set's rows before a border, and of the others."""
        parts = [part.split(border) for part in self.parts]
        fallback = (None, None) if self.fallback is None else self.fallback.split(border)
        first, second = (tuple(halves[side] for halves in parts) for side in (0, 1))
        return Preconditioner(first, fallback[0]), Preconditioner(second, fallback[1])

    def apply(self, x: Tensor) -> Tensor:
        """M⁻¹x [S, K]."""
        x = x.contiguous()
        out = torch.empty_like(x)
        for part in self.parts:
            part.into(x, out)
        if self.fallback is not None:
            self.fallback.into(x, out)
        return out

    def blocks_times(self, x: Tensor, in_metric: Tensor) -> Tensor:
        """B x [S, K], where M x is at hand, which is the same for all rows but the fallback ones."""
        if self.fallback is None:
            return in_metric
        out = in_metric.clone()
        out[self.fallback.at] = self.fallback.products(x)
        return out

    def decrements(self, x: Tensor, scaled: Tensor | None = None) -> Tensor:
        """x_e·B_e⁻¹ x_e [S], in float64; exact for every row. scaled: M⁻¹x, where it is at hand."""
        decrements = dot_rows(x, self.apply(x) if scaled is None else scaled)
        if self.fallback is not None:
            decrements[self.fallback.at] = self.fallback.decrements(x)
        return decrements


def whole(point: Linearised, rows: Int64, budget_bytes: float = math.inf) -> Preconditioner:
    """M⁻¹ of rows [S], ascending, at θ, with nothing cached; past a budget, rows take their diagonals."""
    counts, row_bytes = factor_counts(point.objective)[rows], point.theta.shape[1] * point.theta.element_size()
    small = counts <= most_factors(point.theta.shape[1], point.objective.capabilities)
    few, many = np.flatnonzero(small), np.flatnonzero(~small)
    # The Gram form of a row is smaller than its block, and as good.
    taken = np.cumsum(counts[few]) * row_bytes
    few = few[taken <= budget_bytes]
    rest = budget_bytes - taken[len(few) - 1] if len(few) else budget_bytes
    many = many[: int(min(rest / (row_bytes * point.theta.shape[1]), len(many)))]
    left = np.setdiff1d(np.arange(len(rows)), np.concatenate([few, many]), assume_unique=True)
    parts: list[Part] = [*rows_by_gram(point, rows[few], few)]
    if len(many) > 0:
        listed = torch.from_numpy(rows[many]).to(point.objective.device)
        parts.append(Blocks.of(inverse_blocks(point, listed), np.arange(len(many)), many))
    fallback = diagonals(point, rows[left], left) if len(left) > 0 else None
    return Preconditioner(tuple(parts), fallback)


def rows_by_gram(point: Linearised, rows: Int64, at: Int64) -> list[GramRows | CommonRows | AlikeRows]:
    """B⁻¹ of rows [S] of few factors, ascending, at θ; at [S]: where they stand in what they are applied to."""
    if len(rows) == 0:
        return []
    if point.objective.capabilities.common_blocks:
        return [*common_rows(point, rows, at)]
    return [gram_rows(point, rows, at)]


def diagonals(point: Linearised, rows: Int64, at: Int64) -> Diagonals:
    """The diagonals of the blocks of rows [P], ascending; at [P]: where they stand in the set."""
    device = point.objective.device
    diagonal = point.objective.ridge[torch.from_numpy(rows).to(device), None].repeat(1, point.theta.shape[1])
    if point.objective.capabilities.own_blocks:
        for some, factors in by_chunk(point, rows):
            diagonal[some].index_add_(0, factors.owner, factors.values.square())
    else:
        for some, blocks in _built(point, rows):
            diagonal[some] = blocks.diagonal(dim1=1, dim2=2)
    inverses = torch.where(diagonal > 0, 1 / diagonal, 0)
    return Diagonals(point, rows, inverses, torch.from_numpy(at).to(device))


def _before(at: Tensor, border: int) -> int:
    return int((at < border).sum())


def inverse(blocks: Tensor) -> Tensor:
    """B⁻¹ [S, K, K] of positive definite blocks [S, K, K]; a zero block (a row without interactions) gives zero.

    Raises ArithmeticError where a block is neither.
    """
    width = blocks.shape[1]
    out = torch.empty_like(blocks)
    if compiled(blocks.device):
        failed = kernels.invert(blocks.numpy().reshape(-1, width), width, out.numpy().reshape(-1, width))
    else:
        empty = (blocks.diagonal(dim1=1, dim2=2).sum(1) == 0)[:, None, None]
        eye = torch.eye(width, dtype=blocks.dtype, device=blocks.device)
        factors, info = torch.linalg.cholesky_ex(torch.where(empty, eye, blocks))
        out, failed = torch.cholesky_inverse(factors).masked_fill(empty, 0), int((info != 0).sum())
    check_definite(failed, len(blocks))
    return out


def inverse_blocks(point: Linearised, rows: Tensor) -> Tensor:
    """B⁻¹ [S, K, K] of some rows, built in chunks."""
    width = point.theta.shape[1]
    out = point.theta.new_empty(len(rows), width, width)
    for part, blocks in _built(point, rows):
        out[part] = inverse(blocks)
    return out


def _built(point: Linearised, rows: Tensor | Int64) -> Iterator[tuple[slice, Tensor]]:
    """B [·, K, K] of rows [S], some consecutive ones at a time."""
    listed, width = torch.as_tensor(rows, device=point.objective.device), point.theta.shape[1]
    chunk = max(_BUILT_BYTES // (width * width * point.theta.element_size()), 1)
    for first in range(0, len(listed), chunk):
        some = slice(first, first + chunk)
        yield some, point.blocks(listed[some])


def apply(inverses: Tensor, x: Tensor) -> Tensor:
    """B⁻¹ x [S, K], row by row."""
    every = np.arange(len(x))
    return Preconditioner((Blocks.of(inverses, every, every),)).apply(x)
