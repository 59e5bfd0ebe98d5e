"""The likelihood ratio attack.

LiRA (Carlini et al. 2022, arXiv 2112.03570), online, with a Gaussian of its own for every target on either side:

    log N(φ; in) − log N(φ; out)        of the confidence φ of the attacked model

Axes: S shadow models, T targets.
"""

from __future__ import annotations

import numpy as np

from benchmarks.membership.shadows import Shadows
from ifru.interactions.table import Bool
from ifru.models.quality import Float64

_SMALLEST = 1e-12
"""Variance that a confidence has at least: what is below is rounding."""


def likelihood_ratio(shadows: Shadows, confidence: Float64) -> Float64:
    """How much likelier each target [T] is to be a member than not, as a logarithm."""
    inside, outside = (_log_density(shadows, of, confidence) for of in (shadows.present, ~shadows.present))
    return inside - outside


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
