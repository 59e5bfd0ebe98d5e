"""Comparisons as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.compare import Compared, Measured

GOALS = ((0.2, 0.5), (0.13, 0.4), (0.07, 0.22), (0.05, 0.15), (0.03, 0.25), (0.02, 0.08), (0.002, 0.01))
"""What may be left on forgotten and on held-out pairs, for the comparison of times."""

ENGINE = "engine"
_SHOWN = 8


def markdown(compared: Sequence[Compared], heading: str) -> str:
    """A heading, and for each case the points of every curve and the times to reach each goal."""
    return "\n\n".join([f"# {heading}", *(part for case in compared for part in _case(case))]) + "\n"


def curves(points: Iterable[Measured]) -> dict[str, list[Measured]]:
    """Points by their curve, in the order of their seconds."""
    found: dict[str, list[Measured]] = {}
    for point in points:
        found.setdefault(point.curve, []).append(point)
    return {curve: sorted(of_curve, key=lambda point: point.seconds) for curve, of_curve in found.items()}


def _case(case: Compared) -> list[str]:
    title = f"## {case.description[0].upper()}{case.description[1:]}: {case.deleted:,} training rows"
    auc = f"Held-out AUC: {number(case.auc_before)} before, {number(case.auc_exact)} exactly retrained."
    return [title, auc, _points(case), "Times to reach a goal, forgotten / held-out:", _goals(case)]


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
    return _table(("method", "", "time", "left, forgotten", "left, held-out", "AUC", "settling"), rows)


def _goals(case: Compared) -> str:
    """Times of every method as multiples of the engine's; of one that never gets there, its best point in brackets."""
    methods = list(dict.fromkeys(point.method for point in case.points))
    fastest = {goal: _fastest(case.points, ENGINE, goal) for goal in GOALS}
    rows = [
        (method, *(_against(_fastest(case.points, method, goal), fastest[goal], goal) for goal in GOALS))
        for method in methods
    ]
    return _table(("method", *(f"{forgotten:g} / {holdout:g}" for forgotten, holdout in GOALS)), rows)


def _fastest(points: Iterable[Measured], method: str, goal: tuple[float, float]) -> Measured | None:
    """A method's fastest point that reaches a goal, else the one that comes nearest."""
    own = [point for point in points if point.method == method]
    return min(own, key=lambda point: (max(point.left.worst(*goal), 1.0), point.seconds), default=None)


def _against(point: Measured | None, engine: Measured | None, goal: tuple[float, float]) -> str:
    if point is None:
        return "-"
    times = ""
    if engine is not None and point is not engine and engine.left.worst(*goal) <= 1:
        times = f", {point.seconds / engine.seconds:,.3g} ×"
    if point.left.worst(*goal) <= 1:
        return f"{duration(point.seconds)}{times}"
    best = f"{number(point.left.forgotten)} / {number(point.left.holdout)}"
    return f"({best} in {duration(point.seconds)}{times})"


def thinned(points: Sequence[Measured]) -> list[Measured]:
    """At most eight points of a curve, evenly chosen, the first and the last among them."""
    if len(points) <= _SHOWN:
        return list(points)
    return [points[round(place * (len(points) - 1) / (_SHOWN - 1))] for place in range(_SHOWN)]


def number(value: float | None) -> str:
    """Four decimals, or a dash."""
    return "-" if value is None else f"{value:.4f}"


def duration(seconds: float) -> str:
    """Three digits, in milliseconds below a second."""
    return f"{1000 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
