"""One run of IFRU's solver: Adam on its quadratic with one step size.

p starts at zero, and the model moves by p/N. The authors stop by validation AUC, looked at after every step.

Axes: N training rows, S rows of the support, K columns of a row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from benchmarks.cases import Case
from benchmarks.left import left, validation_auc
from benchmarks.methods.checkpoints import is_checkpoint
from benchmarks.methods.early_stopping import EarlyStopping
from benchmarks.methods.ifru_quadratic import Product, goal, neighbourhood
from benchmarks.methods.protocol import Budget, Point
from benchmarks.timing import Stopwatch

PATIENCE = 10
"""Steps without a better AUC that the authors wait for."""


@dataclass(frozen=True)
class Wanted:
    """What a run takes: hops of the neighbourhood, step size of Adam for θ (for p it is N times as large), and steps
    at most.
    """

    hops: int
    rate: float
    steps: int


@dataclass(frozen=True)
class Reached:
    """A point, the number of its step, and what it leaves: the geometric mean of both figures."""

    point: Point
    step: int
    left: float


@dataclass(frozen=True)
class Course:
    """What a run went through. points: at its checkpoints. stopped: where the authors' rule stops; auc: on the
    validation rows there.
    """

    wanted: Wanted
    points: list[Reached]
    stopped: Reached
    auc: float


def course(case: Case, budget: Budget, wanted: Wanted, products: Callable[[Case, Tensor], Product]) -> Course:
    """Run Adam; the time includes finding the neighbourhood and preparing the products."""
    watch, count = Stopwatch(budget.clock), case.base.train.retained
    with watch:
        support = neighbourhood(case, wanted.hops)
        product, g = products(case, support), goal(case, support)
        p = torch.zeros_like(g)
        optimiser = torch.optim.Adam([p], lr=wanted.rate * count)
    theta, stopping = case.base.theta.float(), EarlyStopping(PATIENCE)
    origin, reached = theta[support], list[Reached]()
    stopped, looking = None, True
    for step in range(1, wanted.steps + 1):
        with watch:
            p.grad = product(p) - g
            optimiser.step()
            theta[support] = origin + p / count
        last = step == wanted.steps or watch.seconds > budget.seconds
        if looking and stopping.improves(validation_auc(case, theta)):
            stopped = _reached(case, wanted, step, watch.seconds, theta)
        looking = looking and not stopping.over
        if is_checkpoint(step) or last:
            reached.append(_reached(case, wanted, step, watch.seconds, theta))
        if last:
            break
    stopped = stopped or reached[-1]
    by_auc = replace(stopped.point, curve=f"{stopped.point.curve}, stopped by AUC")
    return Course(wanted, reached, replace(stopped, point=by_auc), stopping.best)


def _reached(case: Case, wanted: Wanted, step: int, seconds: float, theta: Tensor) -> Reached:
    curve = f"IFRU solver, {wanted.hops} hop{'s' * (wanted.hops > 1)}"
    point = Point(seconds, theta.clone(), curve, f"step size {wanted.rate:g}, step {step}")
    return Reached(point, step, left(case, theta).mean)
