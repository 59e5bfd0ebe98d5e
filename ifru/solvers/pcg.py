"""Preconditioned conjugate gradients for a quadratic model that need not be convex (Steihaug 1983).

    minimise  m(x) = ½ x·Ax − b·x   within  ‖x‖_M ≤ radius

A is the exact Hessian, M a positive definite preconditioner. Axes: x, b and all vectors are [S, K].
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ifru.kernels.dispatch import add_both, dot, turn_both
from ifru.solvers.reason import Reason


@dataclass(frozen=True)
class Limits:
    """tolerance: stop where ‖residual‖_{M⁻¹} ≤ tolerance·‖b‖_{M⁻¹}. radius: bound on ‖x‖_M."""

    tolerance: float
    iterations: int
    radius: float = math.inf


@dataclass(frozen=True)
class Solution:
    """x; the residual b − Ax; why the solve ended; and what it saw.

    residual_norm, initial_norm: ‖b − Ax‖ and ‖b‖ in the norm of M⁻¹. length: ‖x‖_M. decrease: −m(x), what the
    quadratic model gains.
    """

    x: Tensor
    residual: Tensor
    reason: Reason
    iterations: int
    residual_norm: float
    initial_norm: float
    length: float
    decrease: float


def never() -> bool:
    """A solve that nobody interrupts."""
    return False


def solve(
    product: Callable[[Tensor, Tensor], Tensor],
    precondition: Callable[[Tensor], Tensor],
    b: Tensor,
    limits: Limits,
    stop: Callable[[], bool] = never,
    preconditioned: Tensor | None = None,
) -> Solution:
    """Solve Ax = b from zero, ending at the tolerance, at negative curvature, at the radius, or when told to.

    product(p, Mp): A p, for a direction p whose Mp is at hand, so that an operator A = M + C need not compute it.
    precondition(r): M⁻¹ r, a tensor of its own. stop(): asked once an iteration. preconditioned: M⁻¹ b, where known.
    """
    x, residual = torch.zeros_like(b), b.clone()
    z = precondition(residual) if preconditioned is None else preconditioned
    direction, in_metric = z.clone(), residual.clone()
    rho = dot(residual, z)
    initial = math.sqrt(max(rho, 0.0))
    # ‖x‖²_M, x·Mp and p·Mp follow from the scalars of the iteration (Steihaug 1983).
    size, overlap, length = 0.0, 0.0, rho
    norm, reason, iteration = initial, Reason.ITERATIONS, 0
    while iteration < limits.iterations:
        if norm <= limits.tolerance * initial:
            reason = Reason.TOLERANCE
            break
        if stop():
            reason = Reason.STOPPED
            break
        image = product(direction, in_metric)
        curvature = dot(direction, image)
        iteration += 1
        if curvature <= 0 and iteration > 1:
            reason = Reason.NEGATIVE_CURVATURE
            break
        step = rho / curvature if curvature > 0 else math.inf
        outside = curvature <= 0 or size + 2 * step * overlap + step * step * length > limits.radius**2
        if outside:
            # A first direction of negative curvature is still downhill: it is followed as far as a plain step would go.
            radius = limits.radius if math.isfinite(limits.radius) else initial
            step = (math.sqrt(max(overlap**2 + length * (radius**2 - size), 0.0)) - overlap) / length
        add_both(x, direction, residual, image, step)
        size, overlap = size + 2 * step * overlap + step * step * length, overlap + step * length
        z = precondition(residual)
        before, rho = rho, dot(residual, z)
        norm = math.sqrt(max(rho, 0.0))
        if outside:
            reason = Reason.RADIUS if curvature > 0 else Reason.NEGATIVE_CURVATURE
            break
        beta = rho / before
        turn_both(direction, z, in_metric, residual, beta)
        overlap, length = beta * overlap, rho + beta * beta * length
    decrease = 0.5 * (dot(x, b) + dot(x, residual))
    return Solution(x, residual, reason, iteration, norm, initial, math.sqrt(max(size, 0.0)), decrease)
