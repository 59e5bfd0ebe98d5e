"""Comparisons as a picture: what is left against time, both on logarithmic scales."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmarks.compare import Compared, Measured
from benchmarks.figure import panels
from benchmarks.table import curves

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FLOOR = 1e-4
"""Smaller figures, zero among them, are drawn here."""

_OURS = "engine"
_MARKERS = "osD^vP*X"


def draw(compared: Sequence[Compared], title: str) -> Figure:
    """A row for each case, forgotten pairs on the left, held-out pairs on the right.

    Raises IfruError where Matplotlib is not installed.
    """
    whole, rows = panels(title, len(compared), 2, 15, 5.5 * len(compared) + 0.8)
    names = list(dict.fromkeys(curve for case in compared for curve in curves(case.points)))
    for case, (forgotten, holdout) in zip(compared, rows, strict=True):
        for panel, of in ((forgotten, "forgotten"), (holdout, "held-out")):
            panel.set(xscale="log", yscale="log", xlabel="seconds", ylabel=f"left on {of} pairs")
            panel.set_title(case.description)
            for curve, points in curves(case.points).items():
                place = names.index(curve)
                panel.plot(
                    [point.seconds for point in points],
                    [_height(point, of) for point in points],
                    color=f"C{place % 10}",
                    marker=_MARKERS[place // 10 % len(_MARKERS)],
                    markersize=4,
                    linewidth=2.5 if points[0].method == _OURS else 1.0,
                    label=curve,
                )
        holdout.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize="small")
    return whole


def _height(point: Measured, of: str) -> float:
    share = point.left.forgotten if of == "forgotten" else point.left.holdout
    return max(FLOOR, 0.0 if share is None else share)
