"""What the attacks found, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.cells import table
from benchmarks.reconstruction.measure import SEEN, Measured


def markdown(found: Sequence[Measured]) -> str:
    """Two tables by batch size: precision of the pursuit, and of the change of the score alone."""
    sizes = sorted({attack.batch for attack in found})
    runs = {size: len({attack.repeat for attack in found if attack.batch == size}) for size in sizes}
    head = ("deleted together", *(f"{size:,}" for size in sizes))
    best = [(SEEN[seen], *(f"{mean(found, seen, size):.2f}" for size in sizes)) for seen in SEEN]
    by_score = [(SEEN[seen], *(f"{naive(found, seen, size):.2f}" for size in sizes)) for seen in SEEN if seen != "data"]
    guessed = ("chance", *(f"{chance(found, size):.0e}" for size in sizes))
    return "\n\n".join(
        [
            "Share of the deleted pairs among as many candidates, out of all pairs of a user and an item:",
            table(head, [("batches", *(str(runs[size]) for size in sizes)), *best, guessed]),
            "The same, had the attacker only looked for the scores that changed most:",
            table(head, by_score),
        ]
    )


def mean(found: Sequence[Measured], seen: str, size: int) -> float:
    """Share of the deleted pairs that the pursuit finds, over all batches of a size."""
    return float(np.mean([attack.found for attack in found if (attack.seen, attack.batch) == (seen, size)]))


def naive(found: Sequence[Measured], seen: str, size: int) -> float:
    """The same by the change of the score."""
    of = [attack.by_score for attack in found if (attack.seen, attack.batch) == (seen, size)]
    return float(np.mean([share for share in of if share is not None]))


def chance(found: Sequence[Measured], size: int) -> float:
    """The same by guessing."""
    return float(np.mean([attack.chance for attack in found if attack.batch == size]))
