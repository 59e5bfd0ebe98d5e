"""The likelihood ratio attack, and how well it tells members from others.

LiRA (Carlini et al. 2022, arXiv 2112.03570), online, with a Gaussian of its own for every target on either side:

    log N(φ; in) − log N(φ; out)        of the confidence φ of the attacked model

Axes: S shadow models, T targets, M members, O others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.membership.shadows import Shadows
from ifru.interactions.table import Bool

Float64 = NDArray[np.float64]

FALSE_POSITIVES = 0.01

_SMALLEST = 1e-12
"""Variance that a confidence has at least: what is below is rounding."""
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


def likelihood_ratio(shadows: Shadows, confidence: Float64) -> Float64:
    """How much likelier each target [T] is to be a member than not, as a logarithm."""
    inside, outside = (_log_density(shadows, of, confidence) for of in (shadows.present, ~shadows.present))
    return inside - outside


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


def roc(ratio: Float64, member: Bool) -> tuple[Float64, Float64]:
    """False and true positive rates [T + 1], by falling threshold."""
    order = np.argsort(-ratio, kind="stable")
    caught, wrong = (np.concatenate([[0], np.cumsum(each[order])]) / each.sum() for each in (member, ~member))
    return wrong, caught


def _log_density(shadows: Shadows, of: Bool, confidence: Float64) -> Float64:
    seen = np.where(of, shadows.confidence, np.nan)
    variance = np.maximum(np.nanvar(seen, axis=0, ddof=1), _SMALLEST)
    density: Float64 = -0.5 * (confidence - np.nanmean(seen, axis=0)) ** 2 / variance - 0.5 * np.log(variance)
    return density


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
