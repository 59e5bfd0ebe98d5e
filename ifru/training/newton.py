"""Training to a stationary point: alternating row sweeps, then Newton with PCG in a trust region.

Axes: R rows, K columns of a row.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ifru.curvature.preconditioner import whole
from ifru.objective import Objective
from ifru.objective.parameters import Layout, Parameters
from ifru.solvers.pcg import Limits, never
from ifru.solvers.reason import Reason
from ifru.solvers.trust_region import Step, descend


@dataclass(frozen=True)
class Plan:
    """sweeps: alternating row sweeps at the start. tolerance: stop where the gradient's norm ≤ tolerance·√L.
    budget_bytes: of the inverse blocks that precondition a solve; rows past it take their diagonals.

    The norm is that of the inverse diagonal blocks, √(Σ_e g_e·B_e⁻¹ g_e): half its square is near what L can lose.
    """

    sweeps: int = 5
    tolerance: float = 1e-8
    steps: int = 200
    products: int = 400
    budget_bytes: float = math.inf


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
    layout: Layout
    objective: float
    gradient_norm: float
    reason: Reason
    products: int

    @property
    def parameters(self) -> Parameters:
        """Views into θ."""
        return self.layout.parameters(self.theta)


def initial(objective: Objective, seed: int) -> Tensor:
    """θ [R, K] to start from: small and normal, the same on every device."""
    random = torch.Generator().manual_seed(seed)
    theta = 0.1 * torch.randn(len(objective.ridge), objective.layout.width, generator=random, dtype=torch.float64)
    theta = theta.to(objective.device, objective.dtype)
    theta[objective.ridge == 0] = 0
    return theta


def minimise(
    objective: Objective,
    theta: Tensor,
    plan: Plan,
    report: Callable[[Progress], None] = lambda progress: None,
    stop: Callable[[], bool] = never,
) -> Trained:
    """Bring θ [R, K] to a stationary point of L; deterministic. stop(): asked at every product with the Hessian."""
    theta = theta.clone()
    sweeps = plan.sweeps if objective.capabilities.bipartite else 0
    users = objective.interactions.users
    rows = np.arange(len(theta))
    for sweep in range(sweeps):
        for side in (rows[:users], rows[users:]):
            point = objective.at(theta)
            theta[side] -= whole(point, side).apply(point.gradient[side])
        report(Progress(sweep + 1, "sweep", objective.at(theta).value, math.nan, 0))
    return _newton(objective, theta, plan, report, stop)


def _newton(
    objective: Objective,
    theta: Tensor,
    plan: Plan,
    report: Callable[[Progress], None],
    stop: Callable[[], bool],
) -> Trained:
    rows = np.arange(len(theta))
    products = 0

    def limits(norm: float, value: float) -> Limits | None:
        """A solve is the more exact the nearer the gradient is to zero."""
        if norm <= plan.tolerance * math.sqrt(value):
            return None
        return Limits(min(0.1, math.sqrt(norm / math.sqrt(value))), plan.products)

    def progress(step: Step) -> None:
        nonlocal products
        products += step.solution.iterations
        report(Progress(step.number, "newton", step.point.value, step.norm, products))

    descent = descend(
        objective.at(theta),
        lambda point: whole(point, rows, plan.budget_bytes),
        limits,
        plan.steps,
        stop,
        progress,
    )
    theta, layout = descent.point.theta, objective.layout
    return Trained(theta, layout, descent.point.value, descent.norm, descent.reason, descent.products)
