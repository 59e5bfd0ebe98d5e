"""What a proof needs of a family of models: the convex problem that is behind it.

The scores of θ, apart from biases, are linear in M = θθᵀ, and the penalty is (λ/2)·tr(D M). So each α [N] with
σ(α) ≤ λ bounds the objective from below, where σ(α) is the largest eigenvalue of a symmetric operator T(α):

    Σ α_z s_z = −½ tr(D^½ T D^½ M) + what the biases add

Axes: N retained interactions, U users, I items, R = U + I rows of θ (users first), K columns of a row, of which the
first `rank` are its dimensions and others biases; n rows of a subspace, r vectors, k dimensions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ifru.objective.losses import Loss
from ifru.proof.eigenvalue import Enough, LargestEigenvalue
from ifru.proof.operator import Operator
from ifru.proof.retained import Retained
from ifru.proof.sums import Sum

_CHUNK = 1 << 13
"""Interactions at a time: their rows stay in the processor's cache."""


@dataclass(frozen=True)
class Scores:
    """value [N], and error [N]: how far rounding takes each at most."""

    value: Tensor
    error: Tensor


@dataclass(frozen=True)
class Spectrum:
    """lower ≤ σ(α) ≤ upper, the second with probability 1 − failure.

    values [r], descending, and vectors [R, r]: of the largest eigenvalues of T(α), as far as they were needed; each
    value is vᵀTv of its vector. subspace [n, r]: the vectors, in the form in which `Duality.spectrum` starts from them.
    found: of `Duality.operator`.
    """

    lower: float
    upper: float
    values: Tensor
    vectors: Tensor
    subspace: Tensor
    failure: float
    found: LargestEigenvalue


class Matrix(Protocol):
    """A matrix M [m, n] in float64 by its products with blocks of columns; fields as in `SparseMatrix`."""

    @property
    def shape(self) -> tuple[int, int]:
        """m, n."""
        ...

    @property
    def operations(self) -> int:
        """Roundings on the way from an entry of x to one of a product, at most."""
        ...

    def product(self, x: Tensor) -> Tensor:
        """M x [m, b], x [n, b]."""
        ...

    def adjoint(self, y: Tensor) -> Tensor:
        """Mᵀ y [n, b], y [m, b]."""
        ...


class Duality(Protocol):
    """The dual problem of a family of models on some retained interactions."""

    @property
    def retained(self) -> Retained:
        """The interactions."""
        ...

    @property
    def loss(self) -> Loss:
        """ℓ."""
        ...

    @property
    def l2(self) -> float:
        """λ."""
        ...

    @property
    def rank(self) -> int:
        """Dimensions of a row."""
        ...

    @property
    def width(self) -> int:
        """K."""
        ...

    @property
    def subspace_rows(self) -> int:
        """n."""
        ...

    @property
    def penalised(self) -> Tensor:
        """D [R]: the penalty is (λ/2)·Σ D_e‖θ_e‖²; zero where a row has no interactions."""
        ...

    def scores(self, theta: Tensor) -> Scores:
        """s [N] of θ [R, K]."""
        ...

    def elsewhere(self, theta: Tensor) -> Sum:
        """What pairs without interaction add to L."""
        ...

    def rows_elsewhere(self, theta: Tensor) -> Tensor | None:
        """Rows [R, r] whose dot products are the slopes of L on pairs without interaction; None where L has none."""
        ...

    def conjugate_elsewhere(self, rows: Tensor) -> Sum:
        """Σ ℓ*(α) over the pairs without interaction, where the α are dot products of rows [R, r]."""
        ...

    def along_elsewhere(self, theta: Tensor, columns: Tensor) -> tuple[float, float]:
        """a, b such that L on pairs without interaction rises by a·t + b·t² with √t·columns [R, k] appended to θ."""
        ...

    def along(self, columns: Tensor) -> Tensor:
        """What dimensions [R, k], appended to those of θ, add to the scores [N]."""
        ...

    def bias_value(self, alpha: Tensor) -> Sum:
        """min over the biases of what they add to Σ α_z s_z and to the penalty; zero where there are none."""
        ...

    def joined(self, user: Tensor, item: Tensor) -> tuple[Duality, Tensor]:
        """The same problem, whose dual points have numbers for more pairs [M] as well, which have no loss.

        Also where everything stands in them then [N + M], what was there before first.
        """
        ...

    def start(self, theta: Tensor) -> Tensor:
        """The span of θ [R, K] as a subspace [n, rank]: at an optimum, that of the eigenvectors to the eigenvalue λ."""
        ...

    @property
    def squared(self) -> bool:
        """Whether `operator` has the squares of T's positive eigenvalues for its own."""
        ...

    def operator(self, alpha: Tensor, rows: Tensor | None = None) -> Operator:
        """T(α) on n numbers, or an operator whose largest eigenvalue is σ(α)²; arguments as in `spectrum`."""
        ...

    def leading(self, alpha: Tensor, count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """About the largest eigenvalues [r] of T(α), and their vectors [R, r]; as `ifru.proof.krylov.leading`."""
        ...

    def spectrum(
        self,
        alpha: Tensor,
        start: Tensor,
        random: torch.Generator,
        enough: Enough,
        check: Callable[[], None],
        rows: Tensor | None = None,
    ) -> Spectrum:
        """σ(α), alpha [N], from a subspace start [n, ·]; the rest as in `largest_eigenvalue`.

        rows [R, r]: their dot products are α on pairs without interaction, which models that sum over interactions
        alone have no use for.
        """
        ...


class InteractionsAlone:
    """What `Duality` says of a model whose objective sums over its interactions, each of which has its penalty."""

    retained: Retained

    @property
    def penalised(self) -> Tensor:
        """The number of a row's interactions."""
        return self.retained.degree

    def elsewhere(self, theta: Tensor) -> Sum:
        """Nothing."""
        return Sum(0.0, 0.0)

    def rows_elsewhere(self, theta: Tensor) -> Tensor | None:
        """None."""
        return None

    def conjugate_elsewhere(self, rows: Tensor) -> Sum:
        """Nothing."""
        return Sum(0.0, 0.0)

    def along_elsewhere(self, theta: Tensor, columns: Tensor) -> tuple[float, float]:
        """Nothing."""
        return 0.0, 0.0


def inverse_root(degree: Tensor) -> Tensor:
    """D^-½ [R, 1] of degree [R]; zero where a row has no interactions, since it is zero itself."""
    root: Tensor = torch.where(degree > 0, degree.clamp_min(1).rsqrt(), 0.0)
    return root[:, None]


def dot_products(rows: Tensor, retained: Retained) -> Tensor:
    """The dot products [N] of the two rows of each interaction, rows [R, k]."""
    user, item, out = rows[: retained.users], rows[retained.users :], torch.empty_like(retained.label)
    for first in range(0, len(out), _CHUNK):
        part = slice(first, first + _CHUNK)
        out[part] = (user[retained.user[part]] * item[retained.item[part]]).sum(1)
    return out


def lengths(rows: Tensor, retained: Retained) -> Tensor:
    """What the dot products [N] of the moduli of rows [R, k] are at most."""
    length: Tensor = rows.norm(dim=1)
    return length[: retained.users][retained.user] * length[retained.users :][retained.item]
