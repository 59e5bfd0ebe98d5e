"""What the attacks found, as Markdown and as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.plot import blank
from benchmarks.reconstruction.measure import SEEN, Measured
from benchmarks.table import table


def markdown(found: Sequence[Measured]) -> str:
    """Two tables by batch size: precision of the pursuit, and of the change of the score alone."""
    sizes = sorted({attack.batch for attack in found})
    runs = {size: len({attack.repeat for attack in found if attack.batch == size}) for size in sizes}
    head = ("deleted together", *(f"{size:,}" for size in sizes))
    best = [(SEEN[seen], *(f"{_mean(found, seen, size):.2f}" for size in sizes)) for seen in SEEN]
    naive = [(SEEN[seen], *(f"{_naive(found, seen, size):.2f}" for size in sizes)) for seen in SEEN if seen != "data"]
    chance = ("chance", *(f"{_chance(found, size):.0e}" for size in sizes))
    return "\n\n".join(
        [
            "Share of the deleted pairs among as many candidates, out of all pairs of a user and an item:",
            table(head, [("batches", *(str(runs[size]) for size in sizes)), *best, chance]),
            "The same, had the attacker only looked for the scores that changed most:",
            table(head, naive),
        ]
    )


def draw(found: Sequence[Measured], path: Path, title: str) -> None:
    """Write a PNG: precision by batch size. Raises IfruError where Matplotlib is not installed."""
    figure = blank(9, 6, title)
    panel = figure.subplots()
    sizes = sorted({attack.batch for attack in found})
    for place, (seen, what) in enumerate(SEEN.items()):
        # Several of the curves are the same to the eye, so that each has its own mark.
        panel.plot(
            sizes,
            [_mean(found, seen, size) for size in sizes],
            marker="osD^v"[place],
            markersize=11 - 2 * place,
            fillstyle="none",
            color=f"C{place}",
            label=what,
        )
    naive = [_naive(found, "update", size) for size in sizes]
    panel.plot(sizes, naive, ":", color="C0", label="updates, by the change of the score alone")
    panel.plot(sizes, [_chance(found, size) for size in sizes], "--", color="0.5", label="chance")
    panel.set(xscale="log", xlabel="interactions deleted between two versions", ylim=(-0.02, 1.04))
    panel.set_ylabel("share of the deleted pairs that is found")
    panel.grid(visible=True, which="major", alpha=0.3)
    panel.legend()
    figure.savefig(path, dpi=130)


def _mean(found: Sequence[Measured], seen: str, size: int) -> float:
    return float(np.mean([attack.found for attack in found if (attack.seen, attack.batch) == (seen, size)]))


def _naive(found: Sequence[Measured], seen: str, size: int) -> float:
    of = [attack.by_score for attack in found if (attack.seen, attack.batch) == (seen, size)]
    return float(np.mean([share for share in of if share is not None]))


def _chance(found: Sequence[Measured], size: int) -> float:
    return float(np.mean([attack.chance for attack in found if attack.batch == size]))
