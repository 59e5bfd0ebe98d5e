"""Figures against the truth, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmarks.figure import panels
from benchmarks.residual.measure import SETS, Measured
from benchmarks.residual.report import BOUNDS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw(found: Sequence[Measured], title: str) -> Figure:
    """Residual influence against left, and bound against truth.

    Raises IfruError where Matplotlib is not installed.
    """
    whole, ((influence, bound),) = panels(title, 1, 2, 14, 6.5)
    headline = next(iter(SETS))
    influence.set(xlabel="residual influence, exact", ylabel=f"left on {SETS[headline]}")
    for place, support in enumerate(sorted({answer.support for answer in found})):
        of = [(each.settled, each.left[headline] or 0.0) for each in found if each.support == support]
        _dots(influence, of, f"C{place}", f"support {support}")
    bound.set(xlabel="true RMS difference of probability", ylabel="proven bound")
    for place, (point, value) in enumerate(BOUNDS.items()):
        _dots(bound, [(each.rms, value(each)) for each in found], f"C{place}", point)
    for panel in (influence, bound):
        panel.set(xscale="log", yscale="log")
        low = min(panel.get_xlim()[0], panel.get_ylim()[0])
        high = max(panel.get_xlim()[1], panel.get_ylim()[1])
        panel.plot([low, high], [low, high], color="0.5", linewidth=1, zorder=0)
        panel.legend()
    return whole


def _dots(panel: Axes, points: Sequence[tuple[float, float]], color: str, label: str) -> None:
    known = [point for point in points if min(point) > 0]
    panel.plot([x for x, _ in known], [y for _, y in known], "o", markersize=4, alpha=0.6, color=color, label=label)
