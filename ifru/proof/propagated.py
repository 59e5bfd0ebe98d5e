"""The dual problem of models whose rows are passed along a graph before they are multiplied: LightGCN.

    Z = Pθ,    P = 1/(L + 1)·Σ_{l=0..L} Âˡ,    s = z_u·z_i

Â is the adjacency matrix of the edges, an edge of u and i divided by the root of both degrees in the graph; P is its
own transpose. σ(α) is the largest eigenvalue of T = −D^-½ P (A + Aᵀ) P D^-½, A the α at (u, i). T is indefinite: its
lowest eigenvalue may be far larger in modulus, and does not matter.

Axes: as in `ifru.proof.duality`; n = R, L layers, K = rank, b columns of a block.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ifru.interactions.table import Bool, Interactions
from ifru.objective.losses import Loss, LossName, loss_of
from ifru.proof.duality import InteractionsAlone, Scores, Spectrum, dot_products, inverse_root, lengths
from ifru.proof.eigenvalue import Enough, largest_eigenvalue
from ifru.proof.krylov import leading
from ifru.proof.operator import rounding
from ifru.proof.retained import Retained
from ifru.proof.sparse import SparseMatrix
from ifru.proof.sums import EPS, Sum


@dataclass(frozen=True)
class Propagation:
    """P on some edges. adjacency: Â between users and items [U, I]."""

    adjacency: SparseMatrix
    layers: int

    @staticmethod
    def of(retained: Retained, edges: Tensor, layers: int) -> Propagation:
        """edges [N]: whether an interaction is one; several of one pair count as often."""
        user, item = retained.user[edges], retained.item[edges]
        users, items = retained.shape
        of_user, of_item = torch.bincount(user, minlength=users), torch.bincount(item, minlength=items)
        value = (of_user[user].double() * of_item[item].double()).rsqrt()
        return Propagation(retained.matrix(value, edges), layers)

    @property
    def operations(self) -> int:
        """As in `SparseMatrix`, of P."""
        return self.layers * (self.adjacency.operations + 1) + 2

    def apply(self, x: Tensor) -> Tensor:
        """P x [R, b], x [R, b]."""
        out = x
        for _ in range(self.layers):
            out = x + across(self.adjacency, out)
        return out / (self.layers + 1)


def across(matrix: SparseMatrix, x: Tensor) -> Tensor:
    """The symmetric matrix with M [U, I] and Mᵀ off its diagonal, times x [R, b]."""
    users = matrix.shape[0]
    return torch.cat([matrix.product(x[users:]), matrix.adjoint(x[:users])])


@dataclass(frozen=True)
class PropagatedDuality(InteractionsAlone):
    """See `Duality`."""

    retained: Retained
    loss: Loss
    l2: float
    rank: int
    propagation: Propagation

    @staticmethod
    def of(
        interactions: Interactions, loss: LossName, l2: float, rank: int, layers: int, is_edge: Bool
    ) -> PropagatedDuality:
        """is_edge: for each row of the table, whether it is an edge while it is retained.

        Raises ProofError for interactions whose objective is not convex or has no lower bound.
        """
        retained = Retained.of(interactions, loss_of(loss))
        edges = torch.from_numpy(is_edge[interactions.alive])
        return PropagatedDuality(retained, loss_of(loss), l2, rank, Propagation.of(retained, edges, layers))

    @property
    def width(self) -> int:
        return self.rank

    @property
    def subspace_rows(self) -> int:
        return sum(self.retained.shape)

    def scores(self, theta: Tensor) -> Scores:
        apply, retained = self.propagation.apply, self.retained
        error = EPS * (self.rank + 4 + self.propagation.operations) * lengths(apply(theta.abs()), retained)
        return Scores(dot_products(apply(theta), retained), error)

    def along(self, columns: Tensor) -> Tensor:
        return dot_products(self.propagation.apply(columns), self.retained)

    def bias_value(self, alpha: Tensor) -> Sum:
        return Sum(0.0, 0.0)

    def joined(self, user: Tensor, item: Tensor) -> tuple[PropagatedDuality, Tensor]:
        retained, place = self.retained.joined(user, item)
        return replace(self, retained=retained), place

    def start(self, theta: Tensor) -> Tensor:
        return self.retained.degree.sqrt()[:, None] * theta

    def leading(self, alpha: Tensor, count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        operator = self._between(-alpha)
        return leading(operator.product, operator.size, count, random)

    def spectrum(
        self,
        alpha: Tensor,
        start: Tensor,
        random: torch.Generator,
        enough: Enough,
        check: Callable[[], None],
        rows: Tensor | None = None,
    ) -> Spectrum:
        operator = self.operator(alpha)
        found = largest_eigenvalue(operator, start, random, enough, check)
        return Spectrum(found.lower, found.upper, found.values, found.vectors, found.vectors, found.failure, found)

    @property
    def squared(self) -> bool:
        return False

    def operator(self, alpha: Tensor, rows: Tensor | None = None) -> Between:
        exact, moduli = self._between(-alpha), self._between(alpha.abs())
        operations = 2 * self.propagation.operations + exact.middle.operations + 8
        return replace(exact, rounding=rounding(operations, moduli.product, exact.size))

    def _between(self, value: Tensor) -> Between:
        """The operator with value [N] at the interactions' places, what rounding does aside."""
        return Between(inverse_root(self.retained.degree), self.propagation, self.retained.matrix(value), 0.0)


@dataclass(frozen=True)
class Between:
    """D^-½ P (B + Bᵀ) P D^-½. root: D^-½ [R, 1]. middle: B between users and items. Fields as in `Operator`."""

    root: Tensor
    propagation: Propagation
    middle: SparseMatrix
    rounding: float

    @property
    def size(self) -> int:
        return len(self.root)

    def product(self, x: Tensor) -> Tensor:
        apply = self.propagation.apply
        return self.root * apply(across(self.middle, apply(self.root * x)))
