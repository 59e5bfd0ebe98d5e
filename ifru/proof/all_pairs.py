"""The dual problem of weighted matrix factorisation, whose objective sums over all pairs (iALS).

A dual point is a number for every pair. At interactions these are the α, several of one pair adding up; on the pairs
without one, where the loss is ½·w₀·s², they are the dot products of rows. So the U × I matrix A of them is low rank
plus sparse, and sums over all pairs are sums of Gram matrices. σ is the largest singular value of D_u^-½ A D_i^-½.

Axes: as in `ifru.proof.duality`; r columns of the dual point's rows; m, n rows and columns of a matrix, b of a block.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ifru.interactions.table import Interactions
from ifru.objective.all_pairs import Weighting
from ifru.objective.losses import Squared
from ifru.proof.bilinear import BilinearDuality
from ifru.proof.duality import Matrix, dot_products, inverse_root, lengths
from ifru.proof.retained import Retained
from ifru.proof.sparse import SparseMatrix
from ifru.proof.sums import EPS, Sum, total

_CHUNK = 1024
"""Rows of a Gram matrix that are summed up at a time: so many roundings, and as many as there are chunks."""

_INNER = 64
"""The same for products with a block of columns."""


@dataclass(frozen=True)
class AllPairsDuality(BilinearDuality):
    """See `Duality`. first [N]: whether an interaction is the first one of its pair."""

    weighting: Weighting
    first: Tensor

    @staticmethod
    def weighted(interactions: Interactions, weighting: Weighting, l2: float, rank: int) -> AllPairsDuality:
        """Raises ProofError for interactions whose objective is not convex."""
        loss = Squared()
        retained = Retained.of(interactions, loss, weighting.alpha)
        user, item = retained.user, retained.item
        first = torch.ones(len(user), dtype=torch.bool)
        first[1:] = (user[1:] != user[:-1]) | (item[1:] != item[:-1])
        return AllPairsDuality(retained, loss, l2, rank, False, weighting, first)

    @property
    def penalised(self) -> Tensor:
        degree: Tensor = self.retained.degree
        return degree if self.weighting.by_degree else degree.clamp(max=1)

    def elsewhere(self, theta: Tensor) -> Sum:
        return self._squares(theta).times(0.5 * self.weighting.unobserved)

    def rows_elsewhere(self, theta: Tensor) -> Tensor:
        # In principal axes the moduli of the rows, which bound what rounding does, have products hardly larger than
        # those of the rows themselves. What rounding left of dimensions without use would only add to it.
        size, axes = torch.linalg.eigh(theta.T @ theta)
        rows: Tensor = math.sqrt(self.weighting.unobserved) * (theta @ axes[:, size > 4 * EPS * size[-1:]])
        return rows

    def conjugate_elsewhere(self, rows: Tensor) -> Sum:
        return self._squares(rows).times(0.5 / self.weighting.unobserved)

    def along_elsewhere(self, theta: Tensor, columns: Tensor) -> tuple[float, float]:
        users, pairs = self.retained.users, self.first
        before, change = dot_products(theta, self.retained), dot_products(columns, self.retained)
        of_users, of_items = (theta[side].T @ columns[side] for side in (slice(0, users), slice(users, None)))
        own_users, own_items = (columns[side].T @ columns[side] for side in (slice(0, users), slice(users, None)))
        first = float((of_users * of_items).sum() - (before * change)[pairs].sum())
        second = float((own_users * own_items).sum() - change[pairs].square().sum())
        return self.weighting.unobserved * first, 0.5 * self.weighting.unobserved * second

    def joined(self, user: Tensor, item: Tensor) -> tuple[AllPairsDuality, Tensor]:
        retained, place = self.retained.joined(user, item)
        first = torch.zeros(len(place), dtype=torch.bool)
        first[place[: len(self.first)]] = self.first
        return replace(self, retained=retained, first=first), place

    def _squares(self, rows: Tensor) -> Sum:
        """Σ (r_u·r_i)² over the pairs without interaction, of rows [R, r]."""
        users, own = self.retained.users, EPS * (rows.shape[1] + 4)
        (of_users, largest_user), (of_items, largest_item) = _gram(rows[:users]), _gram(rows[users:])
        roundings = EPS * (2 * _CHUNK + len(rows) / _CHUNK + 8)
        everywhere = total((of_users * of_items).view(-1), roundings * (largest_user * largest_item).view(-1))
        score, size = dot_products(rows, self.retained)[self.first], lengths(rows, self.retained)[self.first]
        return everywhere + total(-score.square(), own * size * (2 * score.abs() + own * size))

    def _matrix(self, alpha: Tensor, rows: Tensor | None) -> Matrix:
        if rows is None:
            return super()._matrix(alpha, None)
        return self._added(alpha - self.first * dot_products(rows, self.retained), rows)

    def _moduli(self, alpha: Tensor, rows: Tensor | None) -> Matrix:
        if rows is None:
            return super()._moduli(alpha, None)
        return self._added(alpha.abs() + self.first * dot_products(rows.abs(), self.retained), rows.abs())

    def _added(self, value: Tensor, rows: Tensor) -> Matrix:
        """D_u^-½ (sparse + low rank) D_i^-½, turned as `BilinearDuality` does."""
        scaled, users = inverse_root(self.penalised) * rows, self.retained.users
        user, item = scaled[:users], scaled[users:]
        sparse = self._sparse(value)
        return Added(sparse, *((item, user) if self._users_are_fewer else (user, item)))


@dataclass(frozen=True)
class Added:
    """sparse [m, n] + left·rightᵀ, of left [m, r] and right [n, r]; as `Matrix`."""

    sparse: SparseMatrix
    left: Tensor
    right: Tensor

    @property
    def shape(self) -> tuple[int, int]:
        return self.sparse.shape

    @property
    def operations(self) -> int:
        # Entries of the sparse part are off by what their dot products are, too.
        additions = max(_INNER + rows // _INNER + 2 for rows in self.shape)
        return self.sparse.operations + additions + 2 * self.left.shape[1] + 8

    def product(self, x: Tensor) -> Tensor:
        return self.sparse.product(x) + self.left @ _inner(self.right, x)

    def adjoint(self, y: Tensor) -> Tensor:
        return self.sparse.adjoint(y) + self.right @ _inner(self.left, y)


def _inner(rows: Tensor, x: Tensor) -> Tensor:
    """RᵀX [r, b] of rows R [n, r] and X [n, b], summed up in two steps."""
    first = len(x) - len(x) % _INNER
    parts = [side[:first].view(-1, _INNER, side.shape[1]) for side in (rows, x)]
    return (parts[0].transpose(1, 2) @ parts[1]).sum(0) + rows[first:].T @ x[first:]


def _gram(rows: Tensor) -> tuple[Tensor, Tensor]:
    """RᵀR [r, r] of rows R [·, r], and the same of their moduli."""
    width = rows.shape[1]
    own, moduli = rows.new_zeros(width, width), rows.new_zeros(width, width)
    for some in torch.split(rows, _CHUNK):
        own += some.T @ some
        moduli += some.abs().T @ some.abs()
    return own, moduli
