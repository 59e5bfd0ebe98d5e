"""The same requests at once and one by one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.base import Base
from benchmarks.cases import Case, describe, retrained
from benchmarks.engines import ready, settings
from benchmarks.kept import Kept
from benchmarks.left import Left, left
from benchmarks.requests import counts, requests
from benchmarks.timing import ENOUGH, Clock, Stopwatch
from ifru.engine.settings import EngineSettings
from ifru.interactions import Deletion
from ifru.training import Report, silent

STEPS = (1, 3, 10, 30, 100, 300)
"""Numbers of requests; the last is that of the case."""

COMBINED, SINGLE = "combined", "single"


@dataclass(frozen=True)
class Point:
    """So many requests, answered in one way at one tolerance.

    apply, settle: seconds of all calls together, the median of the repetitions. left: against the model that is
    retrained without these requests.
    """

    requests: int
    way: str
    tolerance: float
    apply: float
    settle: float
    left: Left

    @property
    def total(self) -> float:
        """Seconds until the debt is exact again."""
        return self.apply + self.settle


@dataclass(frozen=True)
class Batches:
    """All that was measured of a case."""

    case: str
    description: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Asked:
    """repeats: of what takes less than a second or two, for the median."""

    support: str
    tolerances: Sequence[float]
    repeats: int
    seed: int


def measure(
    base: Base, name: str, asked: Asked, kept: Kept, report: Report = silent, clock: Clock = time.perf_counter
) -> Batches:
    """Every number of requests, combined and single. Raises IfruError for a case that is no series of requests."""
    description = describe(name)
    listed = requests(name, base, asked.seed)
    steps = counts(len(listed), STEPS)
    points = []
    for place, count in enumerate(steps):
        report(f"{description}: the first {count}", place / len(steps))
        case = retrained(f"{name}, first {count}", base, Deletion.union(listed[:count]), kept)
        for tolerance in asked.tolerances:
            for way, batches in ((COMBINED, [case.deletion]), (SINGLE, listed[:count])):
                apply, settle, found = _answered(
                    case, batches, settings(asked.support, tolerance), asked.repeats, clock
                )
                points.append(Point(count, way, tolerance, apply, settle, found))
    return Batches(name, description, tuple(points))


def _answered(
    case: Case, batches: Sequence[Deletion], asked: EngineSettings, repeats: int, clock: Clock
) -> tuple[float, float, Left]:
    """Seconds of `apply` and of `settle`, and what is left. Slow work is not repeated."""
    taken: list[tuple[float, float]] = []
    while True:
        engine = ready(case.base, asked)
        apply, settle = Stopwatch(clock), Stopwatch(clock)
        for batch in batches:
            with apply:
                engine.apply(batch)
            with settle:
                engine.settle()
        taken.append((apply.seconds, settle.seconds))
        if len(taken) >= repeats or sum(map(sum, taken)) > ENOUGH:
            middle = sorted(taken, key=sum)[len(taken) // 2]
            return *middle, left(case, engine.parameters.stacked())
