"""The seam between models and everything that computes with them: an objective, and all that is known of it at one θ.

    L(θ) = Σ_z w_z·ℓ(s_z(θ), y_z) + (λ/2)(‖p_u‖² + ‖q_i‖²)        over the retained interactions z = (u, i)

Axes: N interactions (deleted ones keep their place and count nothing), M listed ones, R rows of θ (users first, then
items), K columns of a row, S listed rows, T rows that lost interactions, V rows that listed ones share an interaction
with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

import torch
from torch import Tensor

from ifru.interactions import Interactions
from ifru.interactions.table import Int64
from ifru.objective.parameters import Layout


@dataclass(frozen=True)
class Capabilities:
    """What a model offers beyond the seam: declared by it, never inferred.

    compiled: there are compiled loops for the CPU. exact_blocks: Gauss-Newton's diagonal blocks are the Hessian's own.
    own_blocks: a row's block is made of its own interactions alone, so that `factors` of deleted ones leave it.
    common_blocks: the blocks of one side have a matrix in common besides; the objective is `HavingCommon`, its points
    are `Common`.
    bipartite: rows of one side are not coupled with each other, and the points of the objective are `Bipartite`.
    row_local: besides, rows are coupled by their interactions alone, and the points are `RowLocal`. provable: there is
    a dual problem, so that a version can be proven. unique_target: all minimisers score alike, so that "the retrained
    model" means one thing. positives_only: there is something to learn where all labels are the same. response: its
    objective is `Responding`, since no training makes ∇L zero.
    """

    compiled: bool = False
    exact_blocks: bool = False
    own_blocks: bool = True
    common_blocks: bool = False
    bipartite: bool = False
    row_local: bool = False
    provable: bool = False
    unique_target: bool = False
    positives_only: bool = False
    response: bool = False


class Linearised(Protocol):
    """L and its derivatives at one θ, computed once."""

    @property
    def objective(self) -> Objective:
        """Whose L it is."""
        ...

    @property
    def theta(self) -> Tensor:
        """[R, K]."""
        ...

    @property
    def gradient(self) -> Tensor:
        """∇L [R, K]."""
        ...

    @property
    def value(self) -> float:
        """L where the point was made, plus the exact change of every `advance` since.

        What was deleted since, and moves that `update` made exact, are not in it: a scale for what counts as rounding.
        """
        ...

    def product(self, x: Tensor) -> Tensor:
        """∇²L x [R, K], exact: with the second derivative of the score, not Gauss-Newton's."""
        ...

    def linear(self) -> Linearised:
        """This point, as if scores were linear in θ: its products are Gauss-Newton's. Nothing else of it is read."""
        ...

    def advance(self, x: Tensor) -> tuple[Self, float]:
        """Where a step x [R, K] leads, and the change of L, to the digits of the step. This point stays as it is."""
        ...

    def blocks(self, rows: Tensor) -> Tensor:
        """Diagonal blocks [S, K, K] to precondition with: positive definite wherever a row has interactions.

        Models of `own_blocks` have Σ fᵀf + ridge·I there, over the factors f of a row's interactions; see `factors`.
        """
        ...

    def factors(self, of_users: Int64, of_items: Int64) -> Tensor:
        """Factors [M, K] of interactions in their users' blocks, then of others in their items'; of `own_blocks`."""
        ...


@dataclass(frozen=True)
class GradientChange:
    """What a deletion does to ∇L, exactly, and the point afterwards.

    rows [T], ascending: those that lost interactions, or a term at one that stays. direct [T, K]: minus what
    the deleted terms gave, penalty included. spillover [R, K]: what the terms that stay give more, because the model
    passes rows along the deleted interactions; None where it does not. staleness: share by which the rows have moved
    that diagonal blocks are made of. stale: rows whose blocks have lost more than the deleted interactions' factors;
    None where no rows have.
    """

    rows: Tensor
    direct: Tensor
    spillover: Tensor | None
    point: Linearised
    staleness: float = 0.0
    stale: Tensor | None = None


class Objective(Protocol):
    """L of one model on one data set and one device. Deleting interactions changes it in place."""

    interactions: Interactions
    layout: Layout
    capabilities: Capabilities
    l2: float
    device: torch.device
    dtype: torch.dtype
    ridge: Tensor
    """[R]: what a row's penalty is (ridge/2)·‖θ_e‖² of; above zero for rows with interactions, and for no other."""

    def at(self, theta: Tensor) -> Linearised:
        """Everything at θ [R, K], which is not copied."""
        ...

    def serving(self, theta: Tensor) -> Tensor:
        """The rows [R, K] that score pairs on the retained interactions: θ itself where nothing stands between."""
        ...

    def remove(self, point: Linearised, interactions: Int64) -> GradientChange:
        """Take out interactions [M] that have just been deleted from the table. `point` is used up.

        Rows without interactions left have no gradient afterwards; their θ is the caller's to clear.
        """
        ...

    def relabel(self, interactions: Int64) -> bool:
        """Take the labels of interactions [M] anew from the table, where they have just changed.

        Points made before are used up. Returns whether diagonal blocks are others at the same θ.
        Raises ValueError where labels say nothing.
        """
        ...


class Responding(Objective, Protocol):
    """What a model offers that stands where ∇L is not zero: the gradient of its points is a debt that they carry.

    A solve starts where a deletion found θ, with the curvature there, and `advance` follows its quadratic model: what
    the solve leaves is the debt from then on.
    """

    def owing(self, theta: Tensor, debt: Tensor) -> Linearised:
        """θ [R, K] with a debt [R, K] from before; neither is copied."""
        ...


class HavingCommon(Objective, Protocol):
    """What a model offers whose blocks are C + ridge·I + Σ fᵀf, with one C for all users, and one for all items.

    f are the factors of a row's curved interactions: those that weigh more than C has of their pair.
    """

    factor_counts: Int64
    """[R]: how many factors a block has; more than there are columns where it is no such sum."""

    def curved(self, interactions: Int64) -> Int64:
        """Those of retained interactions [M] that have a factor."""
        ...


class Common(Linearised, Protocol):
    """A point whose blocks of one side have a matrix C in common."""

    @property
    def axes(self) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Eigenvalues [K] and eigenvectors [K, K], in columns, of the users' C and of the items'."""
        ...


class Coupling(Protocol):
    """What H_SS is besides the diagonal blocks of a support of S rows."""

    @property
    def interactions(self) -> int:
        """Interactions that one product reads."""
        ...

    def product(self, x: Tensor) -> Tensor:
        """H_SS x less the blocks' part [S, K], exact."""
        ...


@dataclass(frozen=True)
class SideUpdate:
    """What a move of one side's rows [S] changed.

    reached [V]: rows of the other side whose gradient changed. penalised [V]: ‖g_f‖²/ridge_f of theirs, in float64.
    gains [S]: bound on Σ_f ‖Δg_f‖²/ridge_f over neighbours f for a step of length 1, to first order, where no pair is
    recorded twice; infinite where none is known. interactions_read: interactions visited.
    """

    reached: Tensor
    penalised: Tensor
    gains: Tensor
    interactions_read: int


class Bipartite(Linearised, Protocol):
    """What a model offers whose rows of one side are not coupled with each other."""

    def cross(self, x: Tensor, of_users: bool) -> Tensor:
        """The off-diagonal part of ∇²L times x of one side: [U, K] to [I, K], or back."""
        ...


class RowLocal(Bipartite, Protocol):
    """What a model offers whose scores depend on their own two rows: work on few rows reads only what these touch.

    `update` and `update_side` change the point in place.
    """

    def coupling(self, rows: Tensor) -> Coupling:
        """H_SS of rows [S], ascending, without its blocks."""
        ...

    def gradient_along(self, rows: Tensor, step: Tensor) -> tuple[Tensor, Tensor, int]:
        """What a step [S, K] of rows [S], ascending, adds to the gradient of their neighbours, to first order.

        Returns the neighbours [V], ascending, what it adds to each [V, K], and the interactions read. What the moved
        rows' own blocks do is left out.
        """
        ...

    def neighbours(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Rows [V], ascending, that share an interaction with one of rows [S], and those rows themselves.

        With them, how many of each one's interactions these are [V], deleted ones included.
        """
        ...

    def update(self, rows: Tensor, before: Tensor) -> int:
        """Make the gradient exact again after rows [S], ascending, of θ were moved from `before` [S, K].

        Returns the number of interactions read.
        """
        ...

    def update_side(self, rows: Tensor, before: Tensor, heavy: float) -> SideUpdate:
        """`update` for rows [S], ascending, of one side: what it costs does not depend on the size of the model.

        heavy: gains are measured for rows with so large a ridge.
        """
        ...
