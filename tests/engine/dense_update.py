"""One influence update, dense and straight from the formulas: what the engine is held against.

    L(θ; D, G)  =  Σ_{z ∈ D} loss(z; θ, G)          loss = w·ℓ(s(θ, G), y) + (λ/2)(‖p_u‖² + ‖q_i‖²)
    direct      = −∇ Σ_{z ∈ deleted} loss(z; θ, G)
    spillover   =  ∇ Σ_{z ∈ D'} [loss(z; θ, G') − loss(z; θ, G)]
    debt        =  ∇L(θ; D, G) + direct + spillover = ∇L(θ; D', G')
    update         H_SS Δ_S = −debt_S,  θ_S ← θ_S + Δ_S          H = ∇²L(θ; D', G')

Axes: N interactions, R = U + I rows (users first), K columns of a row, S rows of a support. D, what is deleted, and the
graph G that scores may depend on are boolean masks [N]; D' and G' are those without the deleted interactions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import grad, hessian, jacrev, vmap


@dataclass(frozen=True)
class Problem:
    """rows: R. ends [N, 2]: each interaction's user and item. label, weight [N]. loss: ℓ(s, y) of two numbers.

    scores: s [N] at θ [R, K], where a graph [N] is retained.
    """

    rows: int
    ends: Tensor
    label: Tensor
    weight: Tensor
    l2: float
    loss: Callable[[Tensor, Tensor], Tensor]
    scores: Callable[[Tensor, Tensor], Tensor]

    def value(self, theta: Tensor, counted: Tensor, graph: Tensor) -> Tensor:
        losses = self.weight * vmap(self.loss)(self.scores(theta, graph), self.label)
        return (counted * (losses + self.l2 / 2 * theta[self.ends].square().sum((1, 2)))).sum()

    def gradient(self, theta: Tensor, counted: Tensor, graph: Tensor) -> Tensor:
        return grad(self.value)(theta, counted, graph)

    def degree(self, retained: Tensor) -> Tensor:
        return torch.bincount(self.ends[retained].reshape(-1), minlength=self.rows)

    def energy(self, theta: Tensor, retained: Tensor, debt: Tensor) -> Tensor:
        """Σ_e r_e·B_e⁻¹ r_e of a debt [R, K], over rows with interactions: B_e = Σ_z w·ℓ''·JJᵀ + λ·degree·I."""
        rows = self.degree(retained) > 0
        curved = retained * self.weight * vmap(grad(grad(self.loss)))(self.scores(theta, retained), self.label)
        jacobian = jacrev(self.scores)(theta, retained)[:, rows]
        penalty = self.l2 * self.degree(retained)[rows, None, None] * torch.eye(theta.shape[1], dtype=theta.dtype)
        blocks = torch.einsum("n,nrk,nrj->rkj", curved, jacobian, jacobian) + penalty
        return (debt[rows] * torch.linalg.solve(blocks, debt[rows])).sum()


@dataclass(frozen=True)
class Update:
    """θ, direct, spillover and the debt after the deletion, and the debt that the update leaves [R, K each]."""

    theta: Tensor
    direct: Tensor
    spillover: Tensor
    debt: Tensor
    left: Tensor


def influence_update(problem: Problem, theta: Tensor, retained: Tensor, deleted: Tensor, support: Tensor) -> Update:
    """Delete interactions and move the rows [S] of a support; rows that have nothing left become zero."""
    rest = retained & ~deleted
    direct = -problem.gradient(theta, deleted, retained)
    spillover = problem.gradient(theta, rest, rest) - problem.gradient(theta, rest, retained)
    debt = problem.gradient(theta, retained, retained) + direct + spillover
    theta = torch.where((problem.degree(rest) > 0)[:, None], theta, 0.0)
    coupled = hessian(problem.value)(theta, rest, rest)[support][:, :, support]
    size = len(support) * theta.shape[1]
    step = torch.linalg.solve(coupled.reshape(size, size), -debt[support].reshape(size))
    moved = theta.index_add(0, support, step.view_as(debt[support]))
    return Update(moved, direct, spillover, debt, problem.gradient(moved, rest, rest))
