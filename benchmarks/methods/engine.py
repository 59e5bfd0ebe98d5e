"""The influence engine of this project, at a range of tolerances, with each of its supports.

The engine stands as it does in a daemon: the debt is known, and the blocks of all rows are cached.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

import torch
from torch import Tensor

from benchmarks.cases import Case
from benchmarks.methods.protocol import Budget, Point
from benchmarks.timing import Stopwatch, repeated
from ifru.engine import Engine, EngineSettings, Update
from ifru.models import Tables

TOLERANCES = (0.7, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)
COARSE = (0.3, 0.1, 0.02, 0.002)


def run(case: Case, budget: Budget) -> Iterator[Point]:
    """One curve for each support, by tolerance; the time is that of `apply`, settling is given apart."""
    for support in get_args(EngineSettings.model_fields["support"].annotation):
        for tolerance in COARSE if budget.coarse else TOLERANCES:
            point = _measured(case, budget, support, tolerance)
            yield point
            if point.seconds > budget.seconds:
                break


def ready(case: Case, settings: EngineSettings) -> Engine:
    """An engine that waits for the case's deletion."""
    tables = Tables.unstacked(case.base.theta.float(), case.base.train.users)
    return Engine(case.base.config, tables, case.base.dataset.copy(), settings)


def _measured(case: Case, budget: Budget, support: str, tolerance: float) -> Point:
    # All blocks fit: what is measured is the engine in its steady state, not a cache that is too small.
    settings = EngineSettings.model_validate({"support": support, "tolerance": tolerance, "cache_bytes": 1 << 36})
    settling: list[float] = []

    def work(engine: Engine) -> tuple[Engine, Update]:
        return engine, engine.apply(case.deletion)

    def settled(engine: Engine) -> Tensor:
        watch = Stopwatch(budget.clock)
        with watch:
            engine.settle()
        settling.append(watch.seconds)
        return engine.tables.stacked()

    (engine, update), seconds = repeated(budget.clock, budget.repeats, lambda: ready(case, settings), work)
    theta = settled(engine)
    label = f"tolerance {tolerance:g}, by {update.method}"
    return Point(seconds, theta.to(torch.float32), f"ifru, {support}", label, settling[0])
