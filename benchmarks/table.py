"""Comparisons as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.cells import duration, multiple, number, table
from benchmarks.compare import Compared, Measured

GOALS = ((0.2, 0.5), (0.13, 0.4), (0.07, 0.22), (0.05, 0.15), (0.03, 0.25), (0.02, 0.08), (0.002, 0.01))
"""What may be left on forgotten and on held-out pairs, for the comparison of times."""

ENGINE = "ifru, auto"
"""The curve that the others' times are multiples of."""

NEAR = 1.1
_SHOWN = 8


_GOALS_CAPTION = (
    f"Times to reach a goal (left on forgotten / held-out pairs), and as multiples of the time of '{ENGINE}'. "
    "Where a goal is never reached, the multiple is that of the method's best result in brackets."
)


def markdown(compared: Sequence[Compared]) -> str:
    """For each case the points of every curve, and the times to reach each goal."""
    return "\n\n".join(part for case in compared for part in _case(case)) + "\n"


def curves(points: Iterable[Measured]) -> dict[str, list[Measured]]:
    """Points by their curve, in the order of their seconds."""
    found: dict[str, list[Measured]] = {}
    for point in points:
        found.setdefault(point.curve, []).append(point)
    return {curve: sorted(of_curve, key=lambda point: point.seconds) for curve, of_curve in found.items()}


def _case(case: Compared) -> list[str]:
    title = f"## {case.description[0].upper()}{case.description[1:]}: {case.deleted:,} training rows"
    auc = f"Held-out AUC: {number(case.auc_before)} before, {number(case.auc_exact)} exactly retrained."
    return [title, auc, _points(case), _GOALS_CAPTION, _goals(case)]


def _points(case: Compared) -> str:
    rows = [
        (
            point.curve,
            point.label,
            duration(point.seconds),
            number(point.left.forgotten),
            number(point.left.holdout),
            number(point.left.auc),
            "" if point.settle is None else duration(point.settle),
        )
        for of_curve in curves(case.points).values()
        for point in thinned(of_curve)
    ]
    return table(("method", "", "time", "left, forgotten", "left, held-out", "AUC", "settling"), rows)


def _goals(case: Compared) -> str:
    """Every curve's time to each goal, and as a multiple of the engine's; of one that never gets there, of its best."""
    by_curve = curves(case.points)
    engine = {goal: _fastest(by_curve.get(ENGINE, []), goal) for goal in GOALS}
    rows = [
        (curve, _result(best(points)), *(_against(points, engine[goal], goal) for goal in GOALS))
        for curve, points in by_curve.items()
    ]
    return table(("method", "best", *(f"{forgotten:g} / {holdout:g}" for forgotten, holdout in GOALS)), rows)


def best(points: Sequence[Measured]) -> Measured:
    """The quickest point that leaves about as little as any of a curve: the last per cent take longest."""
    least = min(point.left.mean for point in points)
    return min((point for point in points if point.left.mean <= NEAR * least), key=lambda point: point.seconds)


def _result(point: Measured) -> str:
    return f"{number(point.left.forgotten)} / {number(point.left.holdout)} in {duration(point.seconds)}"


def _fastest(points: Iterable[Measured], goal: tuple[float, float]) -> Measured | None:
    there = (point for point in points if point.left.reaches(*goal))
    return min(there, key=lambda point: point.seconds, default=None)


def _against(points: Sequence[Measured], engine: Measured | None, goal: tuple[float, float]) -> str:
    own = _fastest(points, goal)
    compared = own or best(points)
    times = "" if engine is None else f"{multiple(compared.seconds / engine.seconds)} ×"
    if own is not None:
        return f"{duration(own.seconds)}, {times}" if times else duration(own.seconds)
    return f"never ({times})" if times else "never"


def thinned(points: Sequence[Measured]) -> list[Measured]:
    """At most eight points of a curve, evenly chosen, the first and the last among them."""
    if len(points) <= _SHOWN:
        return list(points)
    return [points[round(place * (len(points) - 1) / (_SHOWN - 1))] for place in range(_SHOWN)]
