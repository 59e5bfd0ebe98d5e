"""Warm-started retraining by alternating sweeps: all users take their block-Newton step, then all items."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor

from benchmarks.base import CPU
from benchmarks.cases import Case
from benchmarks.methods.checkpoints import doubling
from benchmarks.methods.protocol import Budget, Point
from benchmarks.timing import Stopwatch
from ifru.curvature.preconditioner import apply, inverse_blocks
from ifru.models import model_of
from ifru.objective import Objective
from ifru.objective.pairwise import PairwisePoint

_SWEEPS = 256
_COARSE = 32


def run(case: Case, budget: Budget) -> Iterator[Point]:
    """One curve, by number of sweeps."""
    objective = model_of(case.base.config).objective(case.retained, CPU, torch.float32)
    theta = case.start(torch.float32)
    rows = torch.arange(len(theta))
    watch, done = Stopwatch(budget.clock), 0
    for wanted in doubling(_COARSE if budget.coarse else _SWEEPS):
        with watch:
            for _ in range(done, wanted):
                for side in rows[: case.retained.users], rows[case.retained.users :]:
                    _step(objective, theta, side)
        done = wanted
        yield Point(watch.seconds, theta.clone(), "warm, alternating sweeps", f"{done} sweeps")
        if watch.seconds > budget.seconds:
            return


def _step(objective: Objective, theta: Tensor, rows: Tensor) -> None:
    """Rows of one side are not coupled with each other, so their steps can be taken at once."""
    point = cast("PairwisePoint", objective.at(theta))
    theta[rows] -= apply(inverse_blocks(point, rows), point.gradient_of(rows))
