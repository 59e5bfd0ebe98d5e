"""How well an attack tells members from others, and the attack on single examples beside retrains.

Difficulty calibration (Watson et al. 2022, arXiv 2111.08440): the confidence in a pair's label, less what models have
that never saw it. Axes: M members, O others, T = M + O targets, S models that never saw a target.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ifru.interactions.table import Bool
from ifru.models.quality import Float64

FALSE_POSITIVES = 0.01

_RESAMPLES = 1000
_LEVEL = (2.5, 97.5)


@dataclass(frozen=True)
class Figure:
    """A figure, and its 95 % confidence interval by bootstrap over the targets."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Success:
    """How well an attack on one model does.

    auc: 0.5 is guessing. caught: share of the members that are found at 1 % false positives; 0.01 is guessing.
    auc_above, caught_above: by how much more than on the retrained model.
    """

    auc: Figure
    caught: Figure
    auc_above: Figure
    caught_above: Figure


def calibrated(confidence: Float64, never_saw: Float64) -> Float64:
    """How much surer a model is of each target [T] than models [S, T] that never saw it, on average."""
    ratio: Float64 = confidence - never_saw.mean(0)
    return ratio


def successes(
    ratios: Mapping[str, Float64], member: Bool, against: str, random: np.random.Generator
) -> dict[str, Success]:
    """How well attacks on several models do, by their ratios [T]; and how much better than on one of them.

    All models are seen through the same resamples, so that what they have in common cancels in the differences.
    """
    sides = {name: (ratio[member], ratio[~member]) for name, ratio in ratios.items()}
    found = {name: [_success(*side)] for name, side in sides.items()}
    members, others = int(member.sum()), int((~member).sum())
    for _ in range(_RESAMPLES):
        drawn, of_others = random.integers(members, size=members), random.integers(others, size=others)
        for name, (inside, outside) in sides.items():
            found[name].append(_success(inside[drawn], outside[of_others]))
    tables = {name: np.array(each) for name, each in found.items()}
    return {name: Success(*_figures(table), *_figures(table - tables[against])) for name, table in tables.items()}


def _success(members: Float64, others: Float64) -> tuple[float, float]:
    """AUC, and the share of the members above all but 1 % of the others."""
    ordered = np.sort(others)
    # Equal ratios count half.
    below = np.searchsorted(ordered, members) + np.searchsorted(ordered, members, side="right")
    threshold = ordered[-int(FALSE_POSITIVES * len(others)) - 1]
    return float(below.mean()) / (2 * len(others)), float((members > threshold).mean())


def _figures(table: Float64) -> list[Figure]:
    """Every column's first entry, with the interval of the others."""
    low, high = np.percentile(table[1:], _LEVEL, axis=0)
    return [Figure(*(float(x) for x in column)) for column in zip(table[0], low, high, strict=True)]
