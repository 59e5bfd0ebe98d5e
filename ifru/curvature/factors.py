"""Factors of diagonal blocks, one for each interaction of a row: what blocks are made of, and what deletions take out.

    B_e = Σ_z w·ℓ''·JJᵀ + λ·deg(e)·I = WᵀW + λ·deg(e)·I,    row z of W is √(w·ℓ'')·J_z

A row of few factors needs no block, but their Gram matrix (Woodbury identity):

    B = WᵀW + ρI  with n ≪ K factors    ⇒    B⁻¹x = (x − UᵀUx)/ρ,    U = L⁻¹W,    LLᵀ = WWᵀ + ρI  [n, n]

Axes: S listed rows, Z interactions of listed rows, D the most of one row, K columns of a row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import numpy as np
import torch
from torch import Tensor

from ifru.interactions.table import Int64
from ifru.kernels import gram as kernels
from ifru.kernels.dispatch import compiled, is_long
from ifru.objective import Capabilities, HavingCommon, Linearised, Objective


@dataclass(frozen=True)
class Factors:
    """W [Z, K]; listed row s has those from start[s] to start[s + 1]."""

    values: Tensor
    start: Int64

    @property
    def degrees(self) -> Int64:
        """[S]: how many each row has."""
        return np.diff(self.start)

    @property
    def owner(self) -> Tensor:
        """[Z]: the listed row that each belongs to."""
        return torch.from_numpy(np.repeat(np.arange(len(self.start) - 1), self.degrees)).to(self.values.device)

    def padded(self, rows: Int64) -> tuple[Tensor, Tensor, Tensor]:
        """W of some rows [S], padded with zeros to [S, D, K]; mask [S, D] of what is no padding; where that is in W."""
        degrees, place = self.degrees[rows], np.arange(int(self.degrees[rows].max(initial=0)))
        inside = torch.from_numpy(place < degrees[:, None]).to(self.values.device)
        source = torch.from_numpy(self.start[rows, None] + place).to(self.values.device)[inside]
        padded = self.values.new_zeros(*inside.shape, self.values.shape[1])
        padded[inside] = self.values[source]
        return padded, inside, source


def factor_counts(objective: Objective) -> Int64:
    """[R]: how many factors the block of each row has: one for each retained interaction, or for each curved one."""
    if objective.capabilities.common_blocks:
        return cast("HavingCommon", objective).factor_counts
    return objective.interactions.degree


def of_rows(point: Linearised, rows: Int64) -> Factors:
    """All factors of rows [S], ascending."""
    objective, table = point.objective, point.objective.interactions
    counts = factor_counts(objective)[rows]
    having = rows[counts > 0]
    of_users, of_items = (table.kept(table.incidence.of(having[half])) for half in table.halves(having))
    if objective.capabilities.common_blocks:
        of_users, of_items = (cast("HavingCommon", objective).curved(each) for each in (of_users, of_items))
    return Factors(point.factors(of_users, of_items), np.concatenate([[0], np.cumsum(counts)]))


def by_chunk(point: Linearised, rows: Int64, chunk_bytes: int = 1 << 26) -> Iterator[tuple[slice, Factors]]:
    """Factors of rows [S], ascending, some consecutive rows at a time; a row of very many interactions comes alone."""
    size = factor_counts(point.objective)[rows] * point.theta.shape[1] * point.theta.element_size()
    chunk = (np.cumsum(size) - size) // chunk_bytes
    for first, last in pairwise([*np.flatnonzero(np.diff(chunk, prepend=-1)), len(rows)]):
        yield slice(first, last), of_rows(point, rows[first:last])


LARGEST_SHARE = 0.25
"""Up to this share of K factors a row takes this form. Applying it costs 2nK products to a block's K², and making
it n²K: with a quarter of K, both together cost as much as applying a cached block some 25 times, what a solve does."""

_GROUP_BYTES = 1 << 26
"""Bound on the padded factors of a group, on a device without compiled loops."""


def most_factors(width: int, capabilities: Capabilities) -> int:
    """The most factors that a block of K columns may have for the Gram form."""
    return int(LARGEST_SHARE * width) if capabilities.own_blocks or capabilities.common_blocks else 0


@dataclass(frozen=True)
class GramRows:
    """B⁻¹ of some rows [S]: U [Z, K] by row, ρ [S], and where these rows stand in x."""

    whitened: Factors
    ridge: Tensor
    at: Tensor

    def split(self, border: int) -> tuple[GramRows, GramRows]:
        """Those of these rows that stand before a border, and the others, as they stand from there on; `at` ascends."""
        count, start = int((self.at < border).sum()), self.whitened.start
        cut = int(start[count])
        first = Factors(self.whitened.values[:cut], start[: count + 1])
        second = Factors(self.whitened.values[cut:], start[count:] - cut)
        ridge, at = self.ridge, self.at
        return GramRows(first, ridge[:count], at[:count]), GramRows(second, ridge[count:], at[count:] - border)

    def into(self, x: Tensor, out: Tensor) -> None:
        """out <- B⁻¹x for these rows of x; a row without interactions gives zero."""
        if compiled(x.device):
            values, start = self.whitened.values.numpy(), self.whitened.start
            tables = values, start, self.ridge.numpy(), self.at.numpy(), x.numpy(), out.numpy()
            kernels.multiply(*tables, is_long(values.size))
        else:
            out[self.at] = product(self.whitened, self.ridge, x[self.at])


def gram_rows(point: Linearised, rows: Int64, at: Int64) -> GramRows:
    """The Gram form of rows [S], ascending, at θ; at [S]: where they stand in what they are applied to."""
    ridge = point.objective.ridge[torch.from_numpy(rows).to(point.objective.device)]
    return whitened_rows(of_rows(point, rows), ridge, at)


def whitened_rows(factors: Factors, ridge: Tensor, at: Int64) -> GramRows:
    """(WᵀW + ρI)⁻¹ of factors W [Z, K], which are used up, and ridges ρ [S]; at [S]: as of `gram_rows`."""
    if compiled(ridge.device):
        work = factors.values.shape[1] * int(np.square(factors.degrees).sum())
        failed = kernels.whiten(factors.values.numpy(), factors.start, ridge.numpy(), is_long(work))
        check_definite(failed, len(ridge))
    else:
        factors = whitened(factors, ridge)
    return GramRows(factors, ridge, torch.from_numpy(at).to(ridge.device))


def whitened(factors: Factors, ridge: Tensor) -> Factors:
    """U = L⁻¹W of all rows, by torch operators on groups of rows of like degree, padded."""
    out, degree = torch.empty_like(factors.values), factors.degrees
    order = np.argsort(degree, kind="stable")
    per_row = factors.values.shape[1] * factors.values.element_size() * max(int(degree.max(initial=1)), 1)
    for group in np.array_split(order, max(len(order) * per_row // _GROUP_BYTES, 1)):
        padded, inside, source = factors.padded(group)
        some = torch.from_numpy(group).to(out.device)
        # A row of no interactions has nothing but padding, whose pivot only has to be positive.
        pivot = torch.where(ridge[some] > 0, ridge[some], 1)
        gram = padded @ padded.mT + torch.diag_embed(pivot[:, None].expand(-1, padded.shape[1]))
        lower, info = torch.linalg.cholesky_ex(gram)
        check_definite(int((info != 0).sum()), len(group))
        out[source] = torch.linalg.solve_triangular(lower, padded, upper=False)[inside]
    return Factors(out, factors.start)


def check_definite(failed: int, blocks: int) -> None:
    """Raises ArithmeticError where some blocks have no Cholesky factor."""
    if failed:
        raise ArithmeticError(f"{failed} of {blocks} curvature blocks are not positive definite")


def product(whitened: Factors, ridge: Tensor, x: Tensor) -> Tensor:
    """B⁻¹x [S, K] by torch operators."""
    owner = whitened.owner
    along = (whitened.values * x[owner]).sum(1, keepdim=True)
    image = x.clone().index_add_(0, owner, -along * whitened.values)
    return torch.where(ridge > 0, 1 / ridge, 0)[:, None] * image
