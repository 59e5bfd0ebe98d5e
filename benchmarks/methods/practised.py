"""Retraining as practised: mini-batch Adam from scratch, stopped by validation AUC.

Its schedule is tuned on the base data. Axes: R rows, K columns of a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, embedding

from benchmarks.base import CPU, Base
from benchmarks.cases import Case
from benchmarks.left import auc_of, validation_auc
from benchmarks.methods.checkpoints import is_checkpoint
from benchmarks.methods.early_stopping import EarlyStopping
from benchmarks.methods.protocol import Budget, Point
from benchmarks.timing import Clock, Stopwatch
from ifru.interactions import Interactions
from ifru.models import ModelConfig, model_of
from ifru.training import Report, initial

PATIENCE = 10
"""Epochs without a better AUC that are waited for, as in the official code of IFRU."""

_AS_GOOD = 1e-3
"""AUC that a quicker schedule may lose against the best one."""

_EPOCHS = 500
_SEED = 1


@dataclass(frozen=True)
class Schedule:
    """rate: step size of Adam. batch: interactions a step."""

    rate: float
    batch: int


Passing = Callable[[Interactions], Callable[[Tensor], Tensor]]
"""Training rows -> how θ [R, K] becomes the rows [R, K] whose dot products are scores, differentiably."""

GRID = tuple(Schedule(rate, batch) for batch in (1024, 4096, 16384) for rate in (0.003, 0.01, 0.03))
COARSE = (Schedule(0.01, 1024), Schedule(0.03, 4096))


def as_they_are(_: Interactions) -> Callable[[Tensor], Tensor]:
    """Rows that score themselves."""
    return lambda theta: theta


def run(case: Case, budget: Budget, passing: Passing = as_they_are, grid: Sequence[Schedule] = GRID) -> Iterator[Point]:
    """One curve, by epochs, up to where validation AUC stops it: its best epoch, the patience not counted."""
    schedule = tuned(case.base, budget, passing, grid)
    name = f"Adam {schedule.rate:g}, batch {schedule.batch}"
    stopping, watch = EarlyStopping(PATIENCE), Stopwatch(budget.clock)
    points: list[Point] = []
    kept = 0
    for number, theta in enumerate(epochs(case.base.config, case.retained, schedule, watch, passing), 1):
        best = stopping.improves(validation_auc(case, theta))
        if best or is_checkpoint(number):
            points.append(Point(watch.seconds, theta, "retraining as practised", f"{name}, epoch {number}"))
        if best:
            kept = len(points)
        if stopping.over or watch.seconds > budget.seconds:
            break
    yield from points[:kept]


def tuned(base: Base, budget: Budget, passing: Passing = as_they_are, grid: Sequence[Schedule] = GRID) -> Schedule:
    """The quickest schedule of the grid whose best validation AUC is about as good as any, on the base data."""
    tried = COARSE if budget.coarse else tuple(grid)
    return _tuned(base, budget.seconds, tried, budget.clock, budget.report, passing)


@cache
def _tuned(
    base: Base,
    seconds: float,
    grid: tuple[Schedule, ...],
    clock: Clock,
    report: Report,
    passing: Passing,
) -> Schedule:
    found: list[tuple[float, float, Schedule]] = []
    for number, schedule in enumerate(grid):
        report(f"tuning Adam {schedule.rate:g}, batch {schedule.batch}", number / len(grid))
        found.append((*_tried(base, schedule, Stopwatch(clock), seconds, passing), schedule))
    best = max(auc for auc, _, _ in found)
    return min((taken, schedule.batch, schedule) for auc, taken, schedule in found if auc >= best - _AS_GOOD)[-1]


def _tried(base: Base, schedule: Schedule, watch: Stopwatch, seconds: float, passing: Passing) -> tuple[float, float]:
    """The best validation AUC, and the seconds until it is reached."""
    stopping, taken = EarlyStopping(PATIENCE), 0.0
    for theta in epochs(base.config, base.train, schedule, watch, passing):
        if stopping.improves(auc_of(base.served(theta, base.train), base.dataset.holdout, base.validation)):
            taken = watch.seconds
        if stopping.over or watch.seconds > seconds:
            break
    return stopping.best, taken


def epochs(
    config: ModelConfig, table: Interactions, schedule: Schedule, watch: Stopwatch, passing: Passing = as_they_are
) -> Iterator[Tensor]:
    """θ [R, K] after each epoch over the retained rows of a table, timed by the watch; deterministic."""
    random = torch.Generator().manual_seed(_SEED)
    kept = np.flatnonzero(table.alive)
    user = torch.from_numpy(table.user[kept].astype(np.int64))
    item = torch.from_numpy(table.item[kept].astype(np.int64)) + table.users
    label = torch.from_numpy(table.label[kept])
    objective = model_of(config).objective(table, CPU, torch.float32)
    theta = torch.nn.Parameter(initial(objective, _SEED))
    with watch:
        passed = passing(table)
    optimiser = torch.optim.Adam([theta], lr=schedule.rate, fused=True)
    for _ in range(_EPOCHS):
        with watch:
            for batch in torch.split(torch.randperm(len(label), generator=random), schedule.batch):
                optimiser.zero_grad()
                loss = _loss(theta, passed(theta), user[batch], item[batch], label[batch], config.l2)
                torch.autograd.backward(loss)
                optimiser.step()
        yield theta.detach().clone()


def _loss(theta: Tensor, passed: Tensor, user: Tensor, item: Tensor, label: Tensor, l2: float) -> Tensor:
    """The project's objective for an interaction, on average over a batch."""
    p, q = embedding(user, theta), embedding(item, theta)
    u, v = (p, q) if passed is theta else (embedding(user, passed), embedding(item, passed))
    penalty = (p.square().sum() + q.square().sum()) / len(label)
    return binary_cross_entropy_with_logits((u * v).sum(1), label) + 0.5 * l2 * penalty
