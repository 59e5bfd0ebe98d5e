"""How times and memory grow with the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.size.measure import Answers, Size


@dataclass(frozen=True)
class Growth:
    """From the smallest size to the largest, as multiples, with one support.

    apply, read: seconds and interactions of `apply`. answered, read_answered: the same with settling.
    """

    support: str
    data: float
    apply: float
    answered: float
    read: float
    read_answered: float


def growth(sizes: Sequence[Size]) -> list[Growth]:
    """One for each support."""
    first, last = sizes[0], sizes[-1]
    return [
        Growth(
            support=before.support,
            data=last.interactions / first.interactions,
            apply=after.apply / before.apply,
            answered=(after.apply + after.settle) / (before.apply + before.settle),
            read=after.read / before.read,
            read_answered=(after.read + after.read_settling) / (before.read + before.read_settling),
        )
        for before, after in zip(first.answers, last.answers, strict=True)
    ]


def by_support(sizes: Sequence[Size]) -> dict[str, list[Answers]]:
    """The answers of each support, by size."""
    return {
        support: [size.answers[place] for size in sizes]
        for place, support in enumerate(answers.support for answers in sizes[0].answers)
    }


def memory(sizes: Sequence[Size]) -> tuple[float, float] | None:
    """Bytes of the engine per interaction and per row: the fit with the least relative errors; None for one size."""
    if len(sizes) < 2:
        return None
    held = np.array([size.answers[0].held for size in sizes], dtype=np.float64)
    counts = np.array([(size.interactions, size.rows) for size in sizes], dtype=np.float64)
    (per_interaction, per_row), *_ = np.linalg.lstsq(counts / held[:, None], np.ones(len(sizes)))
    return float(per_interaction), float(per_row)
