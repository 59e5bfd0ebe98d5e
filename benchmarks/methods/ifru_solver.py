"""The official solver of IFRU: Adam on ½pᵀHp − gᵀp, mean loss, on the k-hop neighbourhood of what is deleted.

After Zhang et al., Recommendation Unlearning via Influence Function, and the authors' code, where every row that is
reached in k hops takes part. The step size is the best one of a grid, and where to stop is told by an oracle or, as
published, by validation AUC.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from benchmarks.cases import Case
from benchmarks.methods.ifru_course import Course, Reached, Wanted, course
from benchmarks.methods.ifru_quadratic import compiled, differentiated, neighbourhood
from benchmarks.methods.protocol import Budget, Point

HOPS = (1, 2, 3)
RATES = (3e-4, 1e-3, 3e-3, 1e-2)
STEPS = 600

_COARSE_HOPS = (1,)
_COARSE_RATES = (1e-3, 3e-3)
_COARSE_STEPS = 100

_NEAR = 1.1
"""How far above the least that is left a point may be to be the best result: the last per cent take longest."""


@dataclass(frozen=True)
class Best:
    """A course, and the point of it where an oracle stops."""

    course: Course
    reached: Reached


def run(case: Case, budget: Budget) -> Iterator[Point]:
    """For each k the course that an oracle prefers, and where validation AUC stops the one that it prefers.

    Step sizes are searched with this project's products ("compiled"): the published solver's numbers, in less time.
    The best course of all, up to its best point, and the one that AUC prefers are run again as published.
    """
    found: list[Best] = []
    by_auc: list[Course] = []
    for hops in _distinct(case, _COARSE_HOPS if budget.coarse else HOPS):
        courses = _searched(case, budget, hops)
        found.append(_best(courses))
        by_auc.append(max(courses, key=lambda course: course.auc))
        points = [reached.point for reached in found[-1].course.points] + [by_auc[-1].stopped.point]
        yield from (replace(point, curve=f"{point.curve}, compiled") for point in points)
    best = _best([of_hops.course for of_hops in found]).course
    least = min(best.points, key=lambda reached: reached.left)
    yield from _as_published(case, budget, best, least.step)[0]
    preferred = max(by_auc, key=lambda course: course.auc)
    yield _as_published(case, budget, preferred, preferred.stopped.step)[1]


def _as_published(case: Case, budget: Budget, known: Course, steps: int) -> tuple[list[Point], Point]:
    """A course with products by differentiating twice: its points, and the one where AUC stops it."""
    budget.report("IFRU solver, as published", None)
    again = course(case, budget, replace(known.wanted, steps=steps), differentiated)
    return [reached.point for reached in again.points], again.stopped.point


def _searched(case: Case, budget: Budget, hops: int) -> list[Course]:
    """A course for every step size of the grid."""
    rates, steps = (_COARSE_RATES, _COARSE_STEPS) if budget.coarse else (RATES, STEPS)
    courses = []
    for number, rate in enumerate(rates):
        budget.report(f"IFRU solver, k = {hops}, step size {rate:g}", number / len(rates))
        courses.append(course(case, budget, Wanted(hops, rate, steps), compiled))
    return courses


def _best(courses: list[Course]) -> Best:
    """The quickest point that leaves about as little as any."""
    least = min(reached.left for course in courses for reached in course.points)
    near = [Best(course, reached) for course in courses for reached in course.points if reached.left <= _NEAR * least]
    return min(near, key=lambda best: best.reached.point.seconds)


def _distinct(case: Case, hops: tuple[int, ...]) -> Iterator[int]:
    """Numbers of hops, until one more reaches no further row."""
    before = -1
    for number in hops:
        rows = len(neighbourhood(case, number))
        if rows == before:
            return
        before = rows
        yield number
