"""Training to a stationary point: alternating row sweeps, then Newton with PCG in a trust region.

Axes: R rows, K columns of a row.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ifru.curvature import apply, inverse_blocks
from ifru.objective import Objective, Slopes
from ifru.pcg import Limits, Solution, solve


@dataclass(frozen=True)
class Plan:
    """sweeps: alternating row sweeps at the start. tolerance: stop where the gradient's norm ≤ tolerance·√L.

    The norm is that of the inverse diagonal blocks, √(Σ_e g_e·B_e⁻¹ g_e): half its square is about what L can still fall.
    """

    sweeps: int = 5
    tolerance: float = 1e-8
    steps: int = 200
    products: int = 400


@dataclass(frozen=True)
class Progress:
    """One outer step: what it was, L after it, the gradient's norm before it, and products with the Hessian so far."""

    step: int
    kind: str
    objective: float
    gradient_norm: float
    products: int


@dataclass(frozen=True)
class Trained:
    """θ [R, K] and how stationary it is: L, the gradient's norm in the inverse blocks, and why training ended."""

    theta: Tensor
    objective: float
    gradient_norm: float
    reason: str
    products: int


def initial(rows: int, width: int, seed: int, objective: Objective) -> Tensor:
    """θ [R, K] to start from: small and normal, the same on every device."""
    random = torch.Generator().manual_seed(seed)
    theta = 0.1 * torch.randn(rows, width, generator=random, dtype=torch.float64)
    theta = theta.to(objective.device, objective.dtype)
    theta[objective.ridge == 0] = 0
    return theta


def minimise(
    objective: Objective, theta: Tensor, plan: Plan, report: Callable[[Progress], None] = lambda progress: None
) -> Trained:
    """Bring θ [R, K] to a stationary point of L; deterministic."""
    theta = theta.clone()
    users = objective.interactions.users
    rows = torch.arange(len(theta), device=theta.device)
    for sweep in range(plan.sweeps):
        for side in (rows[:users], rows[users:]):
            _sweep(objective, theta, side)
        report(Progress(sweep + 1, "sweep", objective.value(theta), math.nan, 0))
    return _newton(objective, theta, plan, report)


def _sweep(objective: Objective, theta: Tensor, rows: Tensor) -> None:
    """One exact block-Newton step for all rows of one side, which are not coupled with each other."""
    slopes = objective.slopes(theta)
    inverses = inverse_blocks(objective, theta, slopes, rows)
    theta[rows] -= apply(inverses, objective.gradient(theta, slopes, rows))


@dataclass(frozen=True)
class _Point:
    """Everything that a Newton step needs at one θ."""

    theta: Tensor
    value: float
    slopes: Slopes
    gradient: Tensor

    @staticmethod
    def at(objective: Objective, theta: Tensor) -> _Point:
        slopes = objective.slopes(theta)
        return _Point(theta, objective.value(theta), slopes, objective.gradient(theta, slopes))


def _newton(objective: Objective, theta: Tensor, plan: Plan, report: Callable[[Progress], None]) -> Trained:
    rows = torch.arange(len(theta), device=theta.device)
    point = _Point.at(objective, theta)
    inverses = inverse_blocks(objective, theta, point.slopes, rows)
    norm, products, radius = _norm(inverses, point.gradient), 0, math.inf
    for step in range(plan.steps):
        if norm <= plan.tolerance * math.sqrt(point.value):
            return Trained(point.theta, point.value, norm, "stationary", products)
        solution = _direction(objective, point, inverses, plan, radius, norm)
        products += solution.iterations
        trial = _Point.at(objective, point.theta + solution.x)
        # Below rounding L cannot tell a gain, so the gradient must.
        resolvable = solution.decrease > 64 * torch.finfo(theta.dtype).eps * point.value
        if not resolvable and _norm(inverses, trial.gradient) >= norm:
            return Trained(point.theta, point.value, norm, "rounding", products)
        gain = (point.value - trial.value) / solution.decrease if resolvable else 1.0
        radius = _radius(radius, solution.length, gain)
        if gain > 1e-4:
            point = trial
            inverses = inverse_blocks(objective, point.theta, point.slopes, rows)
            norm = _norm(inverses, point.gradient)
        report(Progress(step + 1, "newton", point.value, norm, products))
    return Trained(point.theta, point.value, norm, "steps", products)


def _direction(
    objective: Objective, point: _Point, inverses: Tensor, plan: Plan, radius: float, norm: float
) -> Solution:
    """The trust-region step; solved the more exactly the nearer the gradient is to zero."""
    forcing = min(0.1, math.sqrt(norm / math.sqrt(point.value)))
    return solve(
        lambda p, _: objective.product(point.theta, point.slopes, p),
        lambda r: apply(inverses, r),
        -point.gradient,
        Limits(forcing, plan.products, radius),
    )


def _radius(radius: float, length: float, gain: float) -> float:
    """The usual trust-region rule: a quarter of a step that disappointed, three times one that was held back."""
    if gain < 0.25:
        return 0.25 * length
    return 3 * radius if gain > 0.75 and length > 0.8 * radius else radius


def _norm(inverses: Tensor, gradient: Tensor) -> float:
    return math.sqrt(max(float((gradient * apply(inverses, gradient)).sum(dtype=torch.float64)), 0.0))
