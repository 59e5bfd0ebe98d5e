"""All methods on all cases: what is measured, as it is printed, plotted and written as JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from benchmarks.base import Base
from benchmarks.cases import Case, build, describe
from benchmarks.kept import Kept
from benchmarks.left import Left, left
from benchmarks.methods import METHODS
from benchmarks.methods.protocol import Budget
from ifru.training import Report


@dataclass(frozen=True)
class Measured:
    """A point of a method, and what it has left."""

    method: str
    curve: str
    label: str
    seconds: float
    settle: float | None
    left: Left


@dataclass(frozen=True)
class Compared:
    """What became of one case. auc_before, auc_exact: of the model as it was, and of the exactly retrained one."""

    case: str
    description: str
    deleted: int
    auc_before: float | None
    auc_exact: float | None
    points: tuple[Measured, ...]


def compare(
    base: Base, names: Sequence[str], methods: Sequence[str], budget: Budget, seed: int, kept: Kept
) -> list[Compared]:
    """Measure methods, each on every case. Raises IfruError for a case that is unknown or does not fit the data."""
    descriptions = [describe(name) for name in names]
    found = []
    for name, description in zip(names, descriptions, strict=True):
        budget.report(f"{description}: exact retraining", None)
        case = build(name, base, seed, kept)
        points = [
            measured
            for number, method in enumerate(methods)
            for measured in _measured(case, method, _announcing(budget, f"{description}: ", number / len(methods)))
        ]
        before, exact = (left(case, theta).auc for theta in (base.theta, case.exact))
        found.append(Compared(name, description, len(case.deletion.train), before, exact, tuple(points)))
    return found


def _measured(case: Case, method: str, budget: Budget) -> list[Measured]:
    budget.report(method, None)
    return [
        Measured(method, point.curve, point.label, point.seconds, point.settle, left(case, point.theta))
        for point in METHODS[method](case, budget)
    ]


def _announcing(budget: Budget, prefix: str, done: float) -> Budget:
    """A budget whose reports say which case they belong to, and how much of it is done."""
    return replace(budget, report=_prefixed(budget.report, prefix, done))


def _prefixed(report: Report, prefix: str, done: float) -> Callable[[str, float | None], None]:
    return lambda what, share: report(prefix + what, done)
