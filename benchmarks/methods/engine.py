"""The influence engine of this project, at a range of tolerances, with each of its supports.

The engine stands as it does in a daemon: the debt is known, and the cache has room for all rows and is filled.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.cases import Case
from benchmarks.cells import duration
from benchmarks.engines import SUPPORTS, ready
from benchmarks.methods.protocol import Budget, Point
from benchmarks.timing import Stopwatch, repeated
from ifru.engine.engine import Engine
from ifru.engine.settings import EngineSettings
from ifru.engine.update import Update

TOLERANCES = (0.7, 0.5, 0.4, 0.3, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0005)
COARSE = (0.3, 0.1, 0.02, 0.002)

_ALL_BLOCKS = 1 << 36
"""Bytes for the cache: what is measured is the engine in its steady state, not a cache that is too small."""


_SHORT = 1e-4
"""Seconds below which a stage is not told."""


def run(case: Case, budget: Budget) -> Iterator[Point]:
    """One curve for each support, by tolerance; the time is that of `apply`, settling is given apart.

    Labels have the residual influence as the update was published with it, and as it is exactly, and the stages of one
    repetition: the deletion itself, the choice of a support, the solve, and settling where `auto` does so.
    """
    for support in SUPPORTS:
        for tolerance in COARSE if budget.coarse else TOLERANCES:
            asked = {"support": support, "tolerance": tolerance, "cache_bytes": _ALL_BLOCKS}
            point = _measured(case, budget, EngineSettings.model_validate(asked))
            yield point
            if point.seconds > budget.seconds:
                break


def _measured(case: Case, budget: Budget, settings: EngineSettings) -> Point:
    def applied(engine: Engine) -> tuple[Engine, Update]:
        return engine, engine.apply(case.deletion)

    (engine, update), seconds = repeated(budget.clock, budget.repeats, lambda: ready(case.base, settings), applied)
    settling = Stopwatch(budget.clock)
    with settling:
        settled = engine.settle()
    said = f"says {update.influence:.3g}, exact {settled.influence:.3g}"
    stages = ", ".join(f"{stage} {duration(spent)}" for stage, spent in update.seconds.items() if spent >= _SHORT)
    label = f"tolerance {settings.tolerance:g}, by {update.method}, {said}; {stages}"
    return Point(seconds, engine.parameters.stacked(), f"ifru, {settings.support}", label, settling.seconds)
