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

from ifru.curvature.preconditioner import Preconditioner, whole
from ifru.interactions.table import Int64
from ifru.objective import Linearised, Objective
from ifru.objective.parameters import Layout, Parameters
from ifru.solvers.pcg import Limits, never
from ifru.solvers.reason import Reason
from ifru.solvers.trust_region import Step, descend

_MOVED = 1e-4
"""Share of its length that θ may move by before inverse blocks are made anew. A Newton step with the older ones comes
down by no less than about the inverse of it."""

_EXACT = {torch.float32: 3e-4, torch.float64: 0.0}
"""Tolerance below which no solve goes. Where dimensions are turned, L stays: along such directions rounding looks like
a gradient, and steps grow."""


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
    narrow: Objective | None = None,
) -> Trained:
    """Bring θ [R, K] to a stationary point of L; deterministic. stop(): asked at every product with the Hessian.

    narrow: the same objective in a lower precision, which linear systems are then solved in.
    """
    theta = theta.clone()
    sweeps = plan.sweeps if objective.capabilities.bipartite else 0
    users = objective.interactions.users
    rows, value = np.arange(len(theta)), objective.at(theta).value if sweeps else math.nan
    for sweep in range(sweeps):
        before = theta.clone()
        for side in (rows[:users], rows[users:]):
            point = objective.at(theta)
            theta[side] -= whole(point, side).apply(point.gradient[side])
        reached = objective.at(theta).value
        if not reached <= value:
            # Far from a minimum full steps on the rows may lead away from it; the trust region does not.
            theta = before
            break
        value = reached
        report(Progress(sweep + 1, "sweep", value, math.nan, 0))
    return _newton(objective, theta, plan, report, stop, narrow)


class _Metric:
    """M⁻¹ of rows [S] at a point, or at one before it that is near."""

    def __init__(self, rows: Int64, budget_bytes: float) -> None:
        self._rows, self._budget_bytes = rows, budget_bytes
        self._held: tuple[Tensor, Preconditioner] | None = None

    def __call__(self, point: Linearised) -> Preconditioner:
        if self._held is not None:
            theta, preconditioner = self._held
            if float((point.theta - theta).norm()) <= _MOVED * float(theta.norm()):
                return preconditioner
            # Inverse blocks can be most of the memory: the old ones go before the new ones are made.
            del theta, preconditioner
            self._held = None
        made = whole(point, self._rows, self._budget_bytes)
        self._held = point.theta, made
        return made


def _newton(
    objective: Objective,
    theta: Tensor,
    plan: Plan,
    report: Callable[[Progress], None],
    stop: Callable[[], bool],
    narrow: Objective | None,
) -> Trained:
    rows, exact = np.arange(len(theta)), _EXACT[objective.dtype if narrow is None else narrow.dtype]
    products = 0

    def limits(norm: float, value: float) -> Limits | None:
        """A solve is the more exact the nearer the gradient is to zero."""
        if norm <= plan.tolerance * math.sqrt(value):
            return None
        return Limits(min(0.1, max(math.sqrt(norm / math.sqrt(value)), exact)), plan.products)

    def progress(step: Step) -> None:
        nonlocal products
        products += step.solution.iterations
        report(Progress(step.number, "newton", step.point.value, step.norm, products))

    def solved_at(point: Linearised) -> Linearised:
        return point if narrow is None else narrow.at(point.theta.to(narrow.dtype))

    descent = descend(
        objective.at(theta),
        _Metric(rows, plan.budget_bytes),
        limits,
        plan.steps,
        stop,
        progress,
        solved_at=solved_at,
    )
    theta, layout = descent.point.theta, objective.layout
    return Trained(theta, layout, descent.point.value, descent.norm, descent.reason, descent.products)
