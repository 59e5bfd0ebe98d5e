"""The official solver of IFRU: Adam on ½pᵀHp − gᵀp, mean loss, on the k-hop neighbourhood of what is deleted.

After Zhang et al., Recommendation Unlearning via Influence Function, and the authors' code: H is the Hessian of the
mean loss over the training rows before the deletion, at the trained model; g the gradient of the summed loss over the
deleted rows; p starts at zero, and the model moves by p/N. Every row that is reached in k hops takes part. The authors
stop by validation AUC, looked at after every step.

Axes: N interactions, R rows, S rows of the support, K columns of a row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from benchmarks.base import CPU
from benchmarks.cases import Case
from benchmarks.left import left, validation_auc
from benchmarks.methods.checkpoints import is_checkpoint
from benchmarks.methods.early_stopping import EarlyStopping
from benchmarks.methods.protocol import Budget, Point
from benchmarks.timing import Stopwatch
from ifru.objective import objective_of

HOPS = (1, 2, 3)
RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
"""Step sizes of Adam, for θ; for p they are N times as large."""

_COARSE_HOPS = (1,)
_COARSE_RATES = (3e-4, 1e-3)
_STEPS = 2000
_COARSE_STEPS = 150
_PATIENCE = 10
"""Steps without a better AUC that the authors wait for."""

Product = Callable[[Tensor], Tensor]
"""H_SS p [S, K] of p [S, K], for the mean loss."""

Maker = Callable[[Case, Tensor], Product]


@dataclass(frozen=True)
class Course:
    """One run with one step size. points: at its checkpoints, with the number of their step.

    stopped: where the authors' rule stops; auc: on the validation rows there.
    """

    hops: int
    rate: float
    points: list[tuple[int, Point]]
    stopped: tuple[int, Point]
    auc: float


def run(case: Case, budget: Budget) -> Iterator[Point]:
    """For each k the course of the step size that an oracle prefers, and where AUC stops the one that AUC prefers.

    Step sizes are searched with this project's Hessian products. The best two courses are then run again as published,
    with products by differentiating twice, so that both times are known.
    """
    by_oracle: list[tuple[float, int, Course]] = []
    by_auc: list[Course] = []
    for hops in _distinct(case, _COARSE_HOPS if budget.coarse else HOPS):
        courses = _searched(case, budget, hops)
        by_oracle.append(min(((*_best(case, course), course) for course in courses), key=lambda found: found[0]))
        by_auc.append(max(courses, key=lambda course: course.auc))
        yield from (point for _, point in by_oracle[-1][2].points)
        yield by_auc[-1].stopped[1]
    _, steps, best = min(by_oracle, key=lambda found: found[0])
    published = course(case, budget, best.hops, best.rate, differentiated, steps)
    yield from (replace(point, curve=f"{point.curve}, as published") for _, point in published.points)
    preferred = max(by_auc, key=lambda course: course.auc)
    again = course(case, budget, preferred.hops, preferred.rate, differentiated, preferred.stopped[0])
    yield replace(again.stopped[1], curve=f"{again.stopped[1].curve}, as published")


def course(case: Case, budget: Budget, hops: int, rate: float, maker: Maker, steps: int) -> Course:
    """Adam with one step size, for a number of steps or until the budget is spent."""
    watch, count = Stopwatch(budget.clock), case.base.train.retained
    with watch:
        support = neighbourhood(case, hops)
        product, goal = maker(case, support), _goal(case)[support]
        p = torch.zeros_like(goal)
        optimiser = torch.optim.Adam([p], lr=rate * count)
    theta, stopping = case.base.theta.float(), EarlyStopping(_PATIENCE)
    origin, points = theta[support], list[tuple[int, Point]]()
    stopped: tuple[int, Point] | None = None
    curve, still = f"IFRU solver, {hops} hop{'s' * (hops > 1)}", True
    for step in range(1, steps + 1):
        with watch:
            p.grad = product(p) - goal
            optimiser.step()
            theta[support] = origin + p / count
        point = Point(watch.seconds, theta.clone(), curve, f"step size {rate:g}, step {step}")
        over = step == steps or watch.seconds > budget.seconds
        if is_checkpoint(step) or over:
            points.append((step, point))
        if still and stopping.improves(validation_auc(case, theta)):
            stopped = (step, replace(point, curve=f"{curve}, stopped by AUC"))
        still = still and not stopping.over
        if over:
            break
    return Course(hops, rate, points, stopped or points[0], stopping.best)


def neighbourhood(case: Case, hops: int) -> Tensor:
    """Rows [S], ascending, that are reached from the deleted interactions' rows in some hops, themselves included."""
    train = case.base.train
    user, item = train.user[train.alive], train.item[train.alive]
    users, items = np.zeros(train.users, dtype=bool), np.zeros(train.items, dtype=bool)
    users[train.user[case.deletion.train]] = True
    items[train.item[case.deletion.train]] = True
    for _ in range(hops):
        reached = users[user], items[item]
        items[item[reached[0]]] = True
        users[user[reached[1]]] = True
    return torch.from_numpy(np.flatnonzero(np.concatenate([users, items])))


def compiled(case: Case, support: Tensor) -> Product:
    """Products by this project's compiled loops: the same numbers as the published ones, sooner."""
    base = case.base
    objective = objective_of(base.config, base.train, CPU, torch.float32)
    theta = base.theta.float()
    slopes = objective.slopes(theta)
    along = torch.zeros_like(theta)

    def product(p: Tensor) -> Tensor:
        along[support] = p
        return objective.product(theta, slopes, along)[support] / base.train.retained

    return product


def differentiated(case: Case, support: Tensor) -> Product:
    """Products as published: the gradient is kept with its graph and differentiated along p."""
    train, l2, alive = case.base.train, case.base.config.l2, case.base.train.alive
    user = torch.from_numpy(train.user[alive].astype(np.int64))
    item = torch.from_numpy(train.item[alive].astype(np.int64)) + train.users
    label = torch.from_numpy(train.label[alive])
    theta = case.base.theta.float()
    moving = theta[support].requires_grad_()
    whole = theta.index_put((support,), moving)
    of_user, of_item = whole[user], whole[item]
    loss = binary_cross_entropy_with_logits((of_user * of_item).sum(1), label)
    loss = loss + 0.5 * l2 * (of_user.square().sum() + of_item.square().sum()) / len(label)
    (gradient,) = torch.autograd.grad(loss, moving, create_graph=True)

    def product(p: Tensor) -> Tensor:
        (image,) = torch.autograd.grad((gradient * p).sum(), moving, retain_graph=True)
        return image

    return product


def _goal(case: Case) -> Tensor:
    """g [R, K]: the gradient of the deleted rows' summed loss, penalty included."""
    objective = objective_of(case.base.config, case.base.train, CPU, torch.float32)
    theta = case.base.theta.float()
    rows, pulled = objective.pull(theta, objective.slopes(theta), torch.from_numpy(case.deletion.train))
    return torch.zeros_like(theta).index_copy(0, rows.long(), pulled)


def _searched(case: Case, budget: Budget, hops: int) -> list[Course]:
    """A course for every step size of the grid."""
    rates, steps = (_COARSE_RATES, _COARSE_STEPS) if budget.coarse else (RATES, _STEPS)
    courses = []
    for number, rate in enumerate(rates):
        budget.report(f"IFRU solver, {hops} hops, step size {rate:g}", number / len(rates))
        courses.append(course(case, budget, hops, rate, compiled, steps))
    return courses


def _distinct(case: Case, hops: tuple[int, ...]) -> Iterator[int]:
    """Numbers of hops, until one more reaches no further row."""
    reached = -1
    for number in hops:
        rows = len(neighbourhood(case, number))
        if rows == reached:
            return
        reached = rows
        yield number


def _best(case: Case, course: Course) -> tuple[float, int]:
    """The least that is left at a checkpoint, by the geometric mean of both figures, and the number of its step."""
    return min((_mean_left(case, point.theta), step) for step, point in course.points)


def _mean_left(case: Case, theta: Tensor) -> float:
    found = left(case, theta)
    shares = [share for share in (found.forgotten, found.holdout) if share is not None and share > 0]
    return math.exp(sum(map(math.log, shares)) / len(shares)) if shares else 0.0
