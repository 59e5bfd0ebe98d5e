"""Warm-started retraining by L-BFGS with a strong Wolfe line search, on the same objective."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from benchmarks.base import CPU
from benchmarks.cases import Case
from benchmarks.methods.checkpoints import doubling
from benchmarks.methods.protocol import Budget, Point
from benchmarks.timing import Stopwatch
from ifru.models import model_of

_ITERATIONS = 1024
_COARSE = 128
_HISTORY = 50


def run(case: Case, budget: Budget) -> Iterator[Point]:
    """One curve, by iterations. In float64: a line search in float32 ends long before the gradient does."""
    objective = model_of(case.base.config).objective(case.retained, CPU, torch.float64)
    theta = torch.nn.Parameter(case.start(torch.float64))
    optimiser = torch.optim.LBFGS(
        [theta], history_size=_HISTORY, line_search_fn="strong_wolfe", tolerance_grad=0.0, tolerance_change=0.0
    )

    def closure() -> Tensor:
        point = objective.at(theta.detach())
        theta.grad = point.gradient
        return torch.tensor(point.value, dtype=torch.float64)

    watch, done = Stopwatch(budget.clock), 0
    for wanted in doubling(_COARSE if budget.coarse else _ITERATIONS):
        # The optimiser keeps its history from call to call, so that calls add up to one run.
        optimiser.param_groups[0].update(max_iter=wanted - done, max_eval=10 * (wanted - done))
        with watch:
            optimiser.step(closure)  # type: ignore[no-untyped-call]
        done = wanted
        yield Point(watch.seconds, theta.detach().clone(), "warm, L-BFGS", f"{done} iterations")
        if watch.seconds > budget.seconds:
            return
