"""Time, and what is left, against the number of requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.batches.measure import COMBINED, SINGLE, Batches, Point
from benchmarks.batches.report import curve, tolerances
from benchmarks.plot import figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LOWEST = 1e-5
"""Smaller figures, zero among them, are drawn here."""

_FORGOTTEN, _HOLDOUT = "forgotten pairs", "held-out pairs"


def draw(found: Sequence[Batches], path: Path, title: str) -> None:
    """Write a PNG: a row for each case, time on the left, what is left on the right.

    Raises IfruError where Matplotlib is not installed.
    """
    whole = figure(16, 5 * len(found) + 0.8, title)
    rows = whole.subplots(len(found), 2, squeeze=False)
    for batches, (time, left) in zip(found, rows, strict=True):
        for panel, label in ((time, "seconds, with settling"), (left, "left")):
            panel.set(xscale="log", yscale="log", xlabel="requests", ylabel=label)
            panel.set_title(f"up to {batches.description}")
            panel.grid(visible=True, which="major", alpha=0.3)
        _lines(time, batches, lambda point: point.total, "", "-")
        _lines(left, batches, lambda point: point.left.holdout, f", {_HOLDOUT}", "-")
        _lines(left, batches, lambda point: point.left.forgotten, f", {_FORGOTTEN}", ":")
        time.legend(fontsize="small")
        left.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.01, 0.5))
    whole.savefig(path, dpi=130)


def _lines(panel: Axes, batches: Batches, of: Callable[[Point], float | None], suffix: str, style: str) -> None:
    for colour, tolerance in enumerate(tolerances(batches)):
        for way, marker in ((COMBINED, "o"), (SINGLE, "x")):
            points = curve(batches, way, tolerance)
            panel.plot(
                [point.requests for point in points],
                [max(_LOWEST, of(point) or 0) for point in points],
                color=f"C{colour}",
                marker=marker,
                linestyle=style,
                markersize=5,
                linewidth=1.6 if way == COMBINED else 0.9,
                label=f"{way}, tolerance {tolerance:g}{suffix}",
            )
