"""Newton's method with PCG in a trust region: what training and refinement are made of.

The trust region is measured in the norm of the Gauss-Newton diagonal blocks, in lengths of the plain block step:
it needs no unit. Steps are judged by L, not by the gradient: along soft directions that may rise on the way down.

Axes: N interactions, R rows, K columns of a row.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ifru.curvature.preconditioner import Preconditioner
from ifru.objective import Linearised
from ifru.solvers.elimination import Elimination
from ifru.solvers.pcg import Limits, Solution, never, solve
from ifru.solvers.reason import Reason

RADIUS = 10.0
"""First trust region, in lengths of the plain block step, where training starts: soft directions need several, saddles
would take any."""

LOOSE = 0.2
"""A solve to no less than this takes so few iterations on both sides that eliminating one saves nothing."""

_RESOLVED = {torch.float32: 1e-12, torch.float64: 1e-17}
"""A change of L is known where the step gains more than this share of L: θ itself is rounded before."""


@dataclass(frozen=True)
class Step:
    """One trust-region step, taken or not: the point after it, the gradient's norm there, and the solve behind it."""

    number: int
    taken: bool
    point: Linearised
    norm: float
    solution: Solution


@dataclass(frozen=True)
class Descent:
    """Where a descent ended, and why.

    decrements: squared Newton decrements g_e·B_e⁻¹ g_e [R] of each row's block there, in float64, and norm: the root of
    their sum. products: with the Hessian, in all.
    """

    point: Linearised
    decrements: Tensor
    norm: float
    reason: Reason
    products: int


def descend(
    start: Linearised,
    metric: Callable[[Linearised], Preconditioner],
    limits: Callable[[float, float], Limits | None],
    steps: int,
    stop: Callable[[], bool] = never,
    report: Callable[[Step], None] = lambda step: None,
    radius: float = RADIUS,
    solved_at: Callable[[Linearised], Linearised] = lambda point: point,
    rounded: Callable[[Tensor], Tensor] | None = None,
) -> Descent:
    """Go down from a point until `limits` has enough.

    metric(point): M⁻¹ of the diagonal blocks, asked for at the start and after every step taken.
    limits(norm, L): tolerance and iterations of the next solve; None where the point is good enough. radius: of the
    first trust region, in lengths of the plain block step. solved_at(point): the same point in the precision that
    linear systems are solved in; gradients and L stay in the point's own, so that later steps correct what that lacks.
    rounded(step): the step [R, K] that is taken in place of one.
    """

    def slope_at(point: Linearised) -> _Slope:
        model = solved_at(point)
        return _Slope.of(model, metric(model), point.gradient)

    point, slope = start, slope_at(start)
    products, taken = 0, True
    for number in range(1, steps + 1):
        wanted = limits(slope.norm, point.value)
        if wanted is None:
            return Descent(point, slope.decrements, slope.norm, Reason.STATIONARY, products)
        if stop():
            return Descent(point, slope.decrements, slope.norm, Reason.STOPPED, products)
        bounded = Limits(wanted.tolerance, wanted.iterations, radius * slope.norm)
        eliminate = taken and wanted.tolerance < LOOSE
        solution = _direction(slope, bounded, stop, eliminate)
        if solution.reason is Reason.STOPPED and solution.iterations == 0:
            return Descent(point, slope.decrements, slope.norm, Reason.STOPPED, products)
        products += solution.iterations
        step = solution.x.to(point.theta)
        trial, change = point.advance(step if rounded is None else rounded(step))
        # Below rounding L cannot tell a gain, so the gradient must.
        resolvable = solution.decrease > _RESOLVED[point.theta.dtype] * abs(point.value)
        if not resolvable and not slope.of_gradient(trial.gradient).norm < slope.norm:
            return Descent(point, slope.decrements, slope.norm, Reason.ROUNDING, products)
        gain = -change / solution.decrease if resolvable else 1.0
        radius = _next_radius(radius, solution.length / slope.norm, gain)
        taken = gain > 1e-4
        if taken:
            point = trial
            # Inverse blocks can be most of the memory: the old ones go before the new ones are made.
            del slope
            slope = slope_at(point)
        report(Step(number, taken, point, slope.norm, solution))
    return Descent(point, slope.decrements, slope.norm, Reason.STEPS, products)


@dataclass(frozen=True)
class _Slope:
    """A gradient g [R, K] in a metric: M⁻¹, M⁻¹g [R, K], the squared decrement [R] of each row, and the norm.

    model: the point that the metric is of.
    """

    model: Linearised
    preconditioner: Preconditioner
    gradient: Tensor
    scaled: Tensor
    decrements: Tensor
    norm: float

    @staticmethod
    def of(model: Linearised, preconditioner: Preconditioner, gradient: Tensor) -> _Slope:
        gradient = gradient.to(model.theta)
        scaled = preconditioner.apply(gradient)
        decrements = preconditioner.decrements(gradient, scaled)
        norm = math.sqrt(max(float(decrements.sum()), 0.0))
        return _Slope(model, preconditioner, gradient, scaled, decrements, norm)

    def of_gradient(self, gradient: Tensor) -> _Slope:
        """Another gradient in the same metric."""
        return _Slope.of(self.model, self.preconditioner, gradient)


def _direction(slope: _Slope, limits: Limits, stop: Callable[[], bool], eliminate: bool) -> Solution:
    """A step; eliminate: whether one side may be, whose rows the trust region then does not bound."""
    reduced = Elimination.of(slope.model, slope.preconditioner) if eliminate else None
    if reduced is not None:
        return reduced.solve(-slope.gradient, -slope.scaled, slope.norm, limits, stop)
    return solve(
        lambda direction, _: slope.model.product(direction),
        slope.preconditioner.apply,
        -slope.gradient,
        limits,
        stop,
        -slope.scaled,
    )


def _next_radius(radius: float, length: float, gain: float) -> float:
    """The usual rule: a quarter of a step that disappointed, three times one that was held back."""
    if gain < 0.25:
        return 0.25 * length
    return 3 * radius if gain > 0.75 and length > 0.8 * radius else radius
