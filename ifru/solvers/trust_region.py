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
from ifru.objective import Objective, Slopes
from ifru.solvers.elimination import Elimination
from ifru.solvers.pcg import Limits, Reason, Solution, never, solve

REACH = 10.0
"""First trust region, in lengths of the plain block step, where training starts: soft directions need several, saddles
would take any."""

LOOSE = 0.2
"""A solve to no less than this takes so few iterations on both sides that eliminating one saves nothing."""

_RESOLVED = {torch.float32: 1e-12, torch.float64: 1e-17}
"""A change of L is known where the step gains more than this share of L: θ itself is rounded before."""


@dataclass(frozen=True)
class Point:
    """θ [R, K], L at it, the slopes [N] of its interactions, and ∇L [R, K].

    The value may be a rough one: a descent adds exact changes to it, and asks it only what rounding hides.
    """

    theta: Tensor
    value: float
    slopes: Slopes
    gradient: Tensor

    @staticmethod
    def at(objective: Objective, theta: Tensor) -> Point:
        slopes = objective.slopes(theta)
        return Point(theta, objective.value(theta), slopes, objective.gradient(theta, slopes))


@dataclass(frozen=True)
class Step:
    """One trust-region step, taken or not: the point after it, the gradient's norm there, and the solve behind it."""

    number: int
    taken: bool
    point: Point
    norm: float
    solution: Solution


@dataclass(frozen=True)
class Descent:
    """Where a descent ended, and why: "stationary", "rounding", "stopped" or "steps".

    energy: g_e·B_e⁻¹ g_e [R] of the gradient there, in float64, and norm: the root of their sum. products: with the
    Hessian, in all.
    """

    point: Point
    energy: Tensor
    norm: float
    reason: str
    products: int


def descend(
    objective: Objective,
    start: Point,
    metric: Callable[[Point], Preconditioner],
    limits: Callable[[float, float], Limits | None],
    steps: int,
    stop: Callable[[], bool] = never,
    report: Callable[[Step], None] = lambda step: None,
    reach: float = REACH,
) -> Descent:
    """Go down from a point until `limits` has enough.

    metric(point): M⁻¹ of the diagonal blocks, asked for at the start and after every step taken.
    limits(norm, L): tolerance and iterations of the next solve; None where the point is good enough. reach: the first
    trust region, in lengths of the plain block step.
    """
    point, slope = start, _Slope.of(metric(start), start.gradient)
    products, taken = 0, True
    for number in range(1, steps + 1):
        wanted = limits(slope.norm, point.value)
        if wanted is None:
            return Descent(point, slope.energy, slope.norm, "stationary", products)
        if stop():
            return Descent(point, slope.energy, slope.norm, "stopped", products)
        bounded = Limits(wanted.tolerance, wanted.iterations, reach * slope.norm)
        eliminate = taken and wanted.tolerance < LOOSE
        solution = _direction(objective, point, slope, bounded, stop, eliminate)
        if solution.reason is Reason.STOPPED and solution.iterations == 0:
            return Descent(point, slope.energy, slope.norm, "stopped", products)
        products += solution.iterations
        ahead = objective.advance(point.theta, point.slopes, solution.x)
        trial = Point(ahead.theta, point.value + ahead.change, ahead.slopes, ahead.gradient)
        # Below rounding L cannot tell a gain, so the gradient must.
        resolvable = solution.decrease > _RESOLVED[point.theta.dtype] * abs(point.value)
        if not resolvable and not _Slope.of(slope.preconditioner, trial.gradient).norm < slope.norm:
            return Descent(point, slope.energy, slope.norm, "rounding", products)
        gain = -ahead.change / solution.decrease if resolvable else 1.0
        reach = _reach(reach, solution.length / slope.norm, gain)
        taken = gain > 1e-4
        if taken:
            point, slope = trial, _Slope.of(metric(trial), trial.gradient)
        report(Step(number, taken, point, slope.norm, solution))
    return Descent(point, slope.energy, slope.norm, "steps", products)


@dataclass(frozen=True)
class _Slope:
    """A gradient g [R, K] in a metric: M⁻¹, M⁻¹g [R, K], the energy [R] of each row, and the norm."""

    preconditioner: Preconditioner
    scaled: Tensor
    energy: Tensor
    norm: float

    @staticmethod
    def of(preconditioner: Preconditioner, gradient: Tensor) -> _Slope:
        scaled = preconditioner.apply(gradient)
        energy = preconditioner.energies(gradient, scaled)
        return _Slope(preconditioner, scaled, energy, math.sqrt(max(float(energy.sum()), 0.0)))


def _direction(
    objective: Objective, point: Point, slope: _Slope, limits: Limits, stop: Callable[[], bool], eliminate: bool
) -> Solution:
    """A step; eliminate: whether one side may be, whose rows the trust region then does not bound."""
    reduced = Elimination.of(objective, point.theta, point.slopes, slope.preconditioner) if eliminate else None
    if reduced is not None:
        return reduced.solve(-point.gradient, -slope.scaled, slope.norm, limits, stop)
    return solve(
        lambda direction, _: objective.product(point.theta, point.slopes, direction),
        slope.preconditioner.apply,
        -point.gradient,
        limits,
        stop,
        -slope.scaled,
    )


def _reach(reach: float, length: float, gain: float) -> float:
    """The usual rule: a quarter of a step that disappointed, three times one that was held back."""
    if gain < 0.25:
        return 0.25 * length
    return 3 * reach if gain > 0.75 and length > 0.8 * reach else reach
