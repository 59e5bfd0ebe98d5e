"""Combined and single answers, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.batches.measure import COMBINED, SINGLE, Batches, Point
from benchmarks.cells import duration, multiple, share, table

_HEAD = (
    "requests",
    "apply, combined",
    "apply, single",
    "with settling, combined",
    "with settling, single",
    "single / combined",
    "left, combined",
    "left, single",
)


def markdown(found: Sequence[Batches]) -> str:
    """A table for each case and tolerance: a row for each number of requests."""
    return "\n\n".join(part for batches in found for part in _case(batches)) + "\n"


def curve(batches: Batches, way: str, tolerance: float) -> list[Point]:
    """The points of one way at one tolerance, by the number of requests."""
    return [point for point in batches.points if (point.way, point.tolerance) == (way, tolerance)]


def tolerances(batches: Batches) -> list[float]:
    """Those that were measured, in their order."""
    return list(dict.fromkeys(point.tolerance for point in batches.points))


def _case(batches: Batches) -> list[str]:
    parts = [f"## Up to {batches.description}"]
    for tolerance in tolerances(batches):
        pairs = zip(*(curve(batches, way, tolerance) for way in (COMBINED, SINGLE)), strict=True)
        parts += [f"Tolerance {tolerance:g}. Left on forgotten / held-out pairs.", table(_HEAD, [*map(_row, pairs)])]
    return parts


def _row(pair: tuple[Point, Point]) -> tuple[str, ...]:
    combined, single = pair
    return (
        str(combined.requests),
        duration(combined.apply),
        duration(single.apply),
        duration(combined.total),
        duration(single.total),
        multiple(single.total / combined.total),
        _left(combined),
        _left(single),
    )


def _left(point: Point) -> str:
    return f"{share(point.left.forgotten)} / {share(point.left.holdout)}"
