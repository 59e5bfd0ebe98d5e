"""The dual problem of matrix factorisation: scores s = p·q, or s = p·q + b + c with biases.

σ(α) is the largest singular value of M = D_u^-½ A D_i^-½, A the U × I matrix of the α, and T = −(0 M; Mᵀ 0).

Axes: as in `ifru.proof.duality`; n = min(U, I).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ifru.interactions.table import Interactions
from ifru.objective.losses import Loss, LossName, loss_of
from ifru.proof.duality import InteractionsAlone, Matrix, Scores, Spectrum, dot_products, inverse_root, lengths
from ifru.proof.eigenvalue import Enough, largest_eigenvalue
from ifru.proof.krylov import leading
from ifru.proof.operator import rounding
from ifru.proof.retained import Retained
from ifru.proof.sparse import SparseMatrix
from ifru.proof.sums import EPS, Sum, total


@dataclass(frozen=True)
class BilinearDuality(InteractionsAlone):
    """See `Duality`. The last column of a row is its bias, where there are biases."""

    retained: Retained
    loss: Loss
    l2: float
    rank: int
    bias: bool

    @staticmethod
    def of(interactions: Interactions, loss: LossName, l2: float, rank: int, bias: bool) -> BilinearDuality:
        """Raises ProofError for interactions whose objective is not convex or has no lower bound."""
        return BilinearDuality(Retained.of(interactions, loss_of(loss)), loss_of(loss), l2, rank, bias)

    @property
    def width(self) -> int:
        return self.rank + self.bias

    @property
    def subspace_rows(self) -> int:
        return min(self.retained.shape)

    def scores(self, theta: Tensor) -> Scores:
        dimensions, retained = theta[:, : self.rank], self.retained
        value, size = dot_products(dimensions, retained), lengths(dimensions, retained)
        if self.bias:
            of_user, of_item = theta[: retained.users, -1][retained.user], theta[retained.users :, -1][retained.item]
            value, size = value + of_user + of_item, size + of_user.abs() + of_item.abs()
        return Scores(value, EPS * (self.rank + 4) * size)

    def along(self, columns: Tensor) -> Tensor:
        return dot_products(columns, self.retained)

    def bias_value(self, alpha: Tensor) -> Sum:
        retained, value = self.retained, Sum(0.0, 0.0)
        if self.bias:
            for row, degree in ((retained.user, retained.user_degree), (retained.item, retained.item_degree)):
                value = value + _bias_part(alpha, row, degree, self.l2, retained.additions)
        return value

    def joined(self, user: Tensor, item: Tensor) -> tuple[BilinearDuality, Tensor]:
        retained, place = self.retained.joined(user, item)
        return replace(self, retained=retained), place

    def start(self, theta: Tensor) -> Tensor:
        factors = self.penalised.sqrt()[:, None] * theta[:, : self.rank]
        users = self.retained.users
        return factors[:users] if self._users_are_fewer else factors[users:]

    def leading(self, alpha: Tensor, count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        gram = Gram(self._matrix(alpha, None), 0.0)
        _, vectors = leading(gram.product, gram.size, count, random)
        return self._of_both_sides(gram.matrix, vectors)

    def spectrum(
        self,
        alpha: Tensor,
        start: Tensor,
        random: torch.Generator,
        enough: Enough,
        check: Callable[[], None],
        rows: Tensor | None = None,
    ) -> Spectrum:
        gram = self.operator(alpha, rows)
        matrix = gram.matrix

        def enough_squared(lower: float, upper: float) -> bool:
            return enough(_root(lower), _root(upper))

        found = largest_eigenvalue(gram, start, random, enough_squared, check)
        values, vectors = self._of_both_sides(matrix, found.vectors)
        return Spectrum(_root(found.lower), _root(found.upper), values, vectors, found.vectors, found.failure, found)

    def _of_both_sides(self, matrix: Matrix, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """The singular values [r] of M to vectors [n, r] of one side, and T's eigenvectors [R, r]."""
        image = matrix.product(vectors)
        values = image.norm(dim=0)
        # T has an eigenvector of both sides' singular vectors, of opposite signs.
        sides = [-image / values.clamp_min(torch.finfo(values.dtype).tiny), vectors]
        return values, torch.cat(sides[::-1] if self._users_are_fewer else sides) / math.sqrt(2)

    @property
    def squared(self) -> bool:
        return True

    def operator(self, alpha: Tensor, rows: Tensor | None = None) -> Gram:
        matrix, moduli = self._matrix(alpha, rows), self._moduli(alpha, rows)
        size = matrix.shape[1]
        return Gram(matrix, rounding(2 * matrix.operations, lambda x: moduli.adjoint(moduli.product(x)), size))

    @property
    def _users_are_fewer(self) -> bool:
        return self.retained.shape[0] < self.retained.shape[1]

    def _matrix(self, alpha: Tensor, rows: Tensor | None) -> Matrix:
        """M, turned so that its columns are those of the shorter side."""
        return self._sparse(alpha)

    def _moduli(self, alpha: Tensor, rows: Tensor | None) -> Matrix:
        """The same with all that M is made of replaced by its modulus."""
        return self._sparse(alpha.abs())

    def _sparse(self, value: Tensor) -> SparseMatrix:
        """D_u^-½ (·) D_i^-½ of the matrix with value [N] at the interactions' places, turned likewise."""
        retained, root = self.retained, inverse_root(self.penalised)[:, 0]
        users = retained.users
        matrix = retained.matrix(value * root[:users][retained.user] * root[users:][retained.item])
        return matrix.transposed if self._users_are_fewer else matrix


@dataclass(frozen=True)
class Gram:
    """MᵀM, whose largest eigenvalue is the square of M's largest singular value; fields as in `Operator`."""

    matrix: Matrix
    rounding: float

    @property
    def size(self) -> int:
        return self.matrix.shape[1]

    def product(self, x: Tensor) -> Tensor:
        return self.matrix.adjoint(self.matrix.product(x))


def _root(square: float) -> float:
    """Rounded up by no more than half a unit in the last place, which the bound on the square has room for."""
    return math.sqrt(max(square, 0.0))


def _bias_part(alpha: Tensor, row: Tensor, degree: Tensor, l2: float, additions: int) -> Sum:
    """What the biases of one side can lower the objective by: min_b Σ_z α_z b_row + (λ/2) Σ n b².

    A row without interactions has the bias zero. additions: see `Retained`.
    """
    one = torch.ones_like(alpha)
    linear, moduli, entries = (torch.zeros_like(degree).index_add_(0, row, a) for a in (alpha, alpha.abs(), one))
    linear, moduli = (torch.where(degree > 0, sums, 0.0) for sums in (linear, moduli))
    scale, sums = 2 * l2 * degree.clamp_min(1), entries + additions
    error = EPS * (sums + 4) * moduli * (2 * linear.abs() + EPS * sums * moduli)
    return total(-linear.square() / scale, error / scale)
