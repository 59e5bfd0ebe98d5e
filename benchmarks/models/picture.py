"""Seconds of updates and of retraining, by model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmarks.figure import panels
from benchmarks.models.measure import Compared

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(found: Sequence[Compared], title: str) -> Figure:
    """A panel for each case. Raises IfruError where Matplotlib is not installed."""
    cases = list(dict.fromkeys(each.description for each in found))
    whole, ((*shown,),) = panels(title, 1, len(cases), 6.0 * len(cases), 4.5)
    for case, panel in zip(cases, shown, strict=True):
        mine = [each for each in found if each.description == case]
        names = [each.model for each in mine]
        ways = {"update": "o", "retrain": "s", "practised": "^"}
        for way, marker in ways.items():
            known = [(name, getattr(each, way)) for name, each in zip(names, mine, strict=True)]
            points = [(name, seconds) for name, seconds in known if seconds is not None]
            panel.plot(*zip(*points, strict=True), marker, label=way) if points else None
        panel.set(yscale="log", ylabel="seconds", title=case)
        panel.legend(fontsize="small")
    return whole
