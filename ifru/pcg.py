"""Preconditioned conjugate gradients for a quadratic model that need not be convex (Steihaug 1983).

    minimise  m(x) = ½ x·Ax − b·x   within  ‖x‖_M ≤ radius

A is the exact Hessian, M a positive definite preconditioner. Axes: x, b and all vectors are [S, K].
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor


class Reason(StrEnum):
    """Why a solve ended."""

    TOLERANCE = "tolerance"
    ITERATIONS = "iterations"
    NEGATIVE_CURVATURE = "negative_curvature"
    RADIUS = "radius"
    STOPPED = "stopped"


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
) -> Solution:
    """Solve Ax = b from zero, ending at the tolerance, at negative curvature, at the radius, or when told to.

    product(p, Mp): A p, for a direction p whose Mp is at hand, so that an operator A = M + C need not compute it.
    precondition(r): M⁻¹ r. stop(): asked once an iteration.
    """
    x, residual = torch.zeros_like(b), b.clone()
    z = precondition(residual)
    direction, in_metric = z, residual.clone()
    rho = _dot(residual, z)
    initial = math.sqrt(max(rho, 0.0))
    size, reason, iteration = 0.0, Reason.ITERATIONS, 0
    while iteration < limits.iterations:
        if math.sqrt(max(rho, 0.0)) <= limits.tolerance * initial:
            reason = Reason.TOLERANCE
            break
        if stop():
            reason = Reason.STOPPED
            break
        image = product(direction, in_metric)
        curvature, length, overlap = _dot(direction, image), _dot(direction, in_metric), _dot(x, in_metric)
        step = rho / curvature if curvature > 0 else math.inf
        iteration += 1
        if curvature <= 0 and iteration > 1:
            reason = Reason.NEGATIVE_CURVATURE
            break
        if size + 2 * step * overlap + step * step * length > limits.radius**2 or curvature <= 0:
            # A first direction of negative curvature is still downhill: it is followed as far as a plain step would go.
            radius = limits.radius if math.isfinite(limits.radius) else initial
            step = (math.sqrt(max(overlap**2 + length * (radius**2 - size), 0.0)) - overlap) / length
            x.add_(direction, alpha=step)
            residual.sub_(image, alpha=step)
            size += 2 * step * overlap + step * step * length
            reason = Reason.RADIUS if curvature > 0 else Reason.NEGATIVE_CURVATURE
            break
        x.add_(direction, alpha=step)
        residual.sub_(image, alpha=step)
        size += 2 * step * overlap + step * step * length
        z = precondition(residual)
        before, rho = rho, _dot(residual, z)
        direction = z + (rho / before) * direction
        in_metric = residual + (rho / before) * in_metric
    norm = math.sqrt(max(_dot(residual, precondition(residual)), 0.0))
    decrease = 0.5 * (_dot(x, b) + _dot(x, residual))
    return Solution(x, residual, reason, iteration, norm, initial, math.sqrt(max(size, 0.0)), decrease)


def _dot(a: Tensor, b: Tensor) -> float:
    return float(torch.dot(a.reshape(-1), b.reshape(-1)))
