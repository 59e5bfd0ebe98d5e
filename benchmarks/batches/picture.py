"""Time, and what is left, against the number of requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from benchmarks.batches.measure import COMBINED, SINGLE, Batches, Point
from benchmarks.batches.report import curve, tolerances
from benchmarks.figure import LOWEST, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FORGOTTEN, _HOLDOUT = "forgotten pairs", "held-out pairs"


def draw(found: Sequence[Batches], title: str) -> Figure:
    """A row for each case, time on the left, what is left on the right.

    Raises IfruError where Matplotlib is not installed.
    """
    whole, rows = panels(title, len(found), 2, 16, 5 * len(found) + 0.8)
    for batches, (time, left) in zip(found, rows, strict=True):
        for panel, label in ((time, "seconds, with settling"), (left, "left")):
            panel.set(xscale="log", yscale="log", xlabel="requests", ylabel=label)
            panel.set_title(f"up to {batches.description}")
        _lines(time, batches, lambda point: point.total, "", "-")
        _lines(left, batches, lambda point: point.left.holdout, f", {_HOLDOUT}", "-")
        _lines(left, batches, lambda point: point.left.forgotten, f", {_FORGOTTEN}", ":")
        time.legend(fontsize="small")
        left.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.01, 0.5))
    return whole


def _lines(panel: Axes, batches: Batches, of: Callable[[Point], float | None], suffix: str, style: str) -> None:
    for colour, tolerance in enumerate(tolerances(batches)):
        for way, marker in ((COMBINED, "o"), (SINGLE, "x")):
            points = curve(batches, way, tolerance)
            panel.plot(
                [point.requests for point in points],
                [max(LOWEST, of(point) or 0) for point in points],
                color=f"C{colour}",
                marker=marker,
                linestyle=style,
                markersize=5,
                linewidth=1.6 if way == COMBINED else 0.9,
                label=f"{way}, tolerance {tolerance:g}{suffix}",
            )
