"""What the attacks found, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmarks.figure import panels
from benchmarks.reconstruction.measure import SEEN, Measured
from benchmarks.reconstruction.report import chance, mean, naive

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(found: Sequence[Measured], title: str) -> Figure:
    """Precision by batch size. Raises IfruError where Matplotlib is not installed."""
    whole, ((panel,),) = panels(title, 1, 1, 9, 6)
    sizes = sorted({attack.batch for attack in found})
    for place, (seen, what) in enumerate(SEEN.items()):
        # Several of the curves are the same to the eye, so that each has its own mark.
        panel.plot(
            sizes,
            [mean(found, seen, size) for size in sizes],
            marker="osD^v"[place],
            markersize=11 - 2 * place,
            fillstyle="none",
            color=f"C{place}",
            label=what,
        )
    by_score = [naive(found, "update", size) for size in sizes]
    panel.plot(sizes, by_score, ":", color="C0", label="updates, by the change of the score alone")
    panel.plot(sizes, [chance(found, size) for size in sizes], "--", color="0.5", label="chance")
    panel.set(xscale="log", xlabel="interactions deleted between two versions", ylim=(-0.02, 1.04))
    panel.set_ylabel("share of the deleted pairs that is found")
    panel.legend()
    return whole
