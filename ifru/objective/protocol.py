"""The training objective, and every derivative of it that unlearning needs.

    L(θ) = Σ_z w_z·ℓ(s_z(θ), y_z) + (λ/2)(‖p_u‖² + ‖q_i‖²)        over the retained interactions z = (u, i)

Axes: N interactions (deleted ones keep their place and count nothing), M listed ones, R = U + I rows (users first),
K columns of a row, S rows of a support.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ifru.interactions.table import Int64, Interactions
from ifru.objective.losses import Loss
from ifru.objective.score import PairwiseModel


@dataclass(frozen=True)
class Capabilities:
    """What a model offers beyond the seam: declared by it, never inferred.

    compiled: there are compiled loops for the CPU. exact_blocks: Gauss-Newton's diagonal blocks are the Hessian's own.
    row_local: a score depends on its own two rows alone. provable: there is a dual problem, so that a
    version can be proven. unique_target: all minimisers score alike, so that "the retrained model" means one thing.
    """

    compiled: bool = False
    exact_blocks: bool = False
    row_local: bool = False
    provable: bool = False
    unique_target: bool = False


@dataclass(frozen=True)
class Slopes:
    """first [N] = w·ℓ'(s), second [N] = w·ℓ''(s), at the parameters they were computed at."""

    first: Tensor
    second: Tensor


@dataclass(frozen=True)
class Advance:
    """Where a step leads: θ [R, K], the slopes there, ∇L [R, K], and the change of L, to the digits of the step."""

    theta: Tensor
    slopes: Slopes
    gradient: Tensor
    change: float


@dataclass(frozen=True)
class Spread:
    """What the move of one side's rows [S] reached.

    reached [V]: rows of the other side whose debt changed. owed [V]: ‖r_f‖²/ridge_f of theirs, in float64.
    gains [S]: bound on Σ_f ‖Δr_f‖²/ridge_f over neighbours f for a step of length 1, to first order, where no pair is
    recorded twice; infinite where none is known. interactions_read: interactions visited.
    """

    reached: Tensor
    owed: Tensor
    gains: Tensor
    interactions_read: int


class Coupling(Protocol):
    """How the rows [S] of a support pull at each other: the off-diagonal part of H_SS, from the interactions in it."""

    @property
    def interactions(self) -> int:
        """Number of retained interactions with both ends in the support."""
        ...

    def product(self, x: Tensor) -> Tensor:
        """That part of H_SS x [S, K], exact."""
        ...


class Objective(Protocol):
    """L on one device. Implementations agree to rounding; which one is used is a matter of speed."""

    interactions: Interactions
    model: PairwiseModel
    loss: Loss
    l2: float
    device: torch.device
    dtype: torch.dtype
    ridge: Tensor
    """[R]: λ times the number of a row's retained interactions."""

    @property
    def exact_blocks(self) -> bool:
        """Whether Gauss-Newton's diagonal blocks are the Hessian's: where a score is linear in each of its two rows."""
        ...

    def retire(self, interaction: Int64) -> None:
        """Interactions [M], already retired in `interactions`, count nothing from now on."""
        ...

    def scores(self, theta: Tensor, interaction: Tensor | None = None) -> Tensor:
        """s [N], or [M] of some interactions."""
        ...

    def value(self, theta: Tensor) -> float:
        """L, summed in float64."""
        ...

    def slopes(self, theta: Tensor) -> Slopes:
        """The derivatives of the weighted losses in their scores."""
        ...

    def gradient(self, theta: Tensor, slopes: Slopes, rows: Tensor | None = None) -> Tensor:
        """∇L [R, K], or [S, K] of some rows."""
        ...

    def product(self, theta: Tensor, slopes: Slopes, x: Tensor) -> Tensor:
        """∇²L x [R, K], exact: with the second derivative of the score, not Gauss-Newton's."""
        ...

    def across(self, theta: Tensor, slopes: Slopes, x: Tensor, of_users: bool) -> Tensor:
        """What x of one side does to the other by the off-diagonal part of ∇²L: [U, K] to [I, K], or back."""
        ...

    def advance(self, theta: Tensor, slopes: Slopes, x: Tensor) -> Advance:
        """Take a step x [R, K] on all rows, from θ with its slopes."""
        ...

    def blocks(self, theta: Tensor, slopes: Slopes, rows: Tensor) -> Tensor:
        """Gauss-Newton diagonal blocks B_e [S, K, K]: positive definite wherever the row has interactions."""
        ...

    def factors(self, theta: Tensor, slopes: Slopes, of_users: Int64, of_items: Int64) -> Tensor:
        """√(w·ℓ'')·J [M, K]: of interactions in their users' blocks, then of others in their items' blocks."""
        ...

    def pull(self, theta: Tensor, slopes: Slopes, interaction: Tensor) -> tuple[Tensor, Tensor]:
        """rows [S], ascending, and their part [S, K] of ∇L that comes from some interactions, penalty included."""
        ...

    def coupling(self, theta: Tensor, slopes: Slopes, rows: Tensor) -> Coupling:
        """The coupling of rows [S], ascending, at θ."""
        ...

    def pull_along(self, theta: Tensor, slopes: Slopes, rows: Tensor, step: Tensor) -> tuple[Tensor, Tensor, int]:
        """What a step [S, K] of rows [S], ascending, adds to the debt of others, to first order.

        Returns the rows [V], ascending, that it reaches, what it adds to each [V, K], and the interactions read. What
        it does to the debt of the moved rows by their own blocks is left out.
        """
        ...

    def neighbours(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Rows [V], ascending, that have an interaction with one of rows [S], and those rows themselves.

        With them, how many of each one's interactions that is [V], deleted ones included.
        """
        ...

    def spread(self, before: Tensor, theta: Tensor, slopes: Slopes, rows: Tensor, debt: Tensor) -> int:
        """Carry the move of rows [S], ascending, from `before` [S, K] to `theta` over to all that depends on it.

        Updates `slopes` of their interactions and `debt` [R, K] of them and their neighbours in place, exactly.
        Returns the number of interactions read.
        """
        ...

    def spread_side(
        self, before: Tensor, theta: Tensor, slopes: Slopes, rows: Tensor, debt: Tensor, heavy: float
    ) -> Spread:
        """`spread` for rows [S], ascending, of one side: what it costs does not depend on the size of the model.

        heavy: gains are measured for rows with so large a ridge.
        """
        ...
