"""Warm-started retraining with the project's own trainer: Newton-PCG from the base model."""

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
from ifru.training import TOLERANCES, Plan, minimise

_LOOSER = (3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5)
_COARSE = (1e-2, 1e-3, 1e-4)


def run(case: Case, budget: Budget) -> Iterator[Point]:
    """One curve, by the gradient norm at which training ends; the last is that of `ifru train`."""
    objective = model_of(case.base.config).objective(case.retained, CPU, torch.float32)
    start = case.start(torch.float32)

    def trained(plan: Plan, theta: Tensor) -> Tensor:
        return minimise(objective, theta, plan).theta

    for tolerance in (*(_COARSE if budget.coarse else _LOOSER), TOLERANCES[torch.float32]):
        plan = Plan(sweeps=0, tolerance=tolerance)
        theta, seconds = repeated(budget.clock, budget.repeats, start.clone, partial(trained, plan))
        yield Point(seconds, theta, "warm, Newton-PCG", f"gradient norm {tolerance:g}")
        if seconds > budget.seconds:
            return
