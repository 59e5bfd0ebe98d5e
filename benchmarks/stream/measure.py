"""The same requests in several orders, with and without refinement in idle time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.base import Base, from_scratch
from benchmarks.cases import Case, describe, retrained
from benchmarks.engines import ready
from benchmarks.kept import Kept
from benchmarks.left import Left, left
from benchmarks.requests import counts, requests
from benchmarks.stream.course import Mark, run
from benchmarks.timing import Clock
from ifru.engine.settings import EngineSettings
from ifru.interactions import Deletion
from ifru.training import Report, silent

STEPS = (1, 10, 100, 1_000)
"""Numbers of requests after which an engine is measured; so is the last."""

_SEEDS = (101, 102)


@dataclass(frozen=True)
class Course:
    """One order of the requests. idle: requests between two refinements; None for none at all."""

    order: int
    idle: int | None
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class Stream:
    """All orders of a case. floor: what two trainings from scratch without all of its requests differ by."""

    case: str
    description: str
    deleted: int
    floor: Left
    courses: tuple[Course, ...]


@dataclass(frozen=True)
class Asked:
    """orders: of the same requests. idle: batches between two refinements, in the courses that have any.

    batch: requests that are answered together, and count as one below.
    """

    settings: EngineSettings
    orders: int
    idle: int
    seed: int
    batch: int = 1


def measure(
    base: Base, name: str, asked: Asked, kept: Kept, report: Report = silent, clock: Clock = time.perf_counter
) -> Stream:
    """Every order with and without refinement. Raises IfruError for a case that is no series of requests.

    All retraining comes first, so that what the process takes afterwards grows by what the engines do alone.
    """
    description = describe(name)
    each = requests(name, base, asked.seed)
    listed = [Deletion.union(each[first : first + asked.batch]) for first in range(0, len(each), asked.batch)]
    random = np.random.default_rng(asked.seed)
    orders = [[listed[place] for place in random.permutation(len(listed))] for _ in range(asked.orders)]
    whole = retrained(name, base, Deletion.union(listed), kept)
    cases = [_cases(whole, order, kept, report) for order in orders]
    report(f"{description}: two trainings from scratch", None)
    lowest = floor(whole, kept)
    courses: list[Course] = []
    for idle in (None, asked.idle):
        for number, (order, known) in enumerate(zip(orders, cases, strict=True)):
            report(f"{description}: engines at work", len(courses) / (2 * asked.orders))
            courses.append(Course(number, idle, tuple(run(ready(base, asked.settings), order, known, idle, clock))))
    return Stream(name, description, len(whole.deletion.train), lowest, tuple(courses))


def floor(case: Case, kept: Kept) -> Left:
    """What two trainings from scratch, with other seeds, differ by: what one has left if the other is the truth."""
    base = case.base

    def trained(seed: int) -> Case:
        depends = ("scratch", base.config, base.stationary, seed, base.train.user, base.train.item, case.deletion.train)
        made = kept.tensor(depends, lambda: from_scratch(case.retained, base.config, base.stationary, seed))
        return replace(case, exact=made)

    first, second = map(trained, _SEEDS)
    return left(first, second.exact)


def _cases(whole: Case, order: Sequence[Deletion], kept: Kept, report: Report) -> dict[int, Case]:
    """The retrained models at each step of an order; at its end, all orders have the same."""
    found = {len(order): whole}
    for step in counts(len(order), STEPS)[:-1]:
        report(f"retraining without the first {step} of {whole.name}", None)
        found[step] = retrained(f"{whole.name}, first {step}", whole.base, Deletion.union(order[:step]), kept)
    return found
