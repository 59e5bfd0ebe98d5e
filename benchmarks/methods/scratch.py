"""Retraining from scratch with the project's own trainer."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from benchmarks.base import CPU
from benchmarks.cases import Case
from benchmarks.methods.protocol import Budget, Point
from benchmarks.timing import repeated
from ifru.models import model_of
from ifru.training import TOLERANCES, Plan, initial, minimise

_SEED = 1
_LOOSER = (1e-1, 1e-2, 1e-3, 1e-4)
_COARSE = (1e-2,)


def run(case: Case, budget: Budget) -> Iterator[Point]:
    """One curve, by the gradient norm at which training ends; the last is that of `ifru train`."""
    config, retained = case.base.config, case.retained
    objective = model_of(config).objective(retained, CPU, torch.float32)

    def start() -> Tensor:
        return initial(objective, _SEED)

    def trained(plan: Plan, theta: Tensor) -> Tensor:
        return minimise(objective, theta, plan).theta

    for tolerance in (*(_COARSE if budget.coarse else _LOOSER), TOLERANCES[torch.float32]):
        plan = Plan(tolerance=tolerance)
        theta, seconds = repeated(budget.clock, budget.repeats, start, partial(trained, plan))
        yield Point(seconds, theta, "own trainer from scratch", f"gradient norm {tolerance:g}")
