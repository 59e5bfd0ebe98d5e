"""What the attacks found, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.plot import figure
from benchmarks.reconstruction.measure import SEEN, Measured
from benchmarks.reconstruction.report import chance, mean, naive


def draw(found: Sequence[Measured], path: Path, title: str) -> None:
    """Write a PNG: precision by batch size. Raises IfruError where Matplotlib is not installed."""
    whole = figure(9, 6, title)
    panel = whole.subplots()
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
    panel.grid(visible=True, which="major", alpha=0.3)
    panel.legend()
    whole.savefig(path, dpi=130)
