"""How far a version is from the optimum of its retained objective, proven by duality.

    gap = L(θ) − D(α)  ≥  L(θ) − min L

See `docs/proof.md` for what is proven, how, and what is not. Axes: N retained interactions, U users, I items.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from ifru.interactions.table import Interactions
from ifru.models import ModelConfig, model_of
from ifru.objective.losses import Loss, loss_of
from ifru.objective.parameters import Parameters
from ifru.proof.direction import Direction, downhill
from ifru.proof.dual import Dual, best_scale, dual_value, scaled_matrix
from ifru.proof.errors import ProofError
from ifru.proof.norm import Enough, Progress, SpectralNorm, spectral_norm
from ifru.proof.primal import in_float64, objective, scores
from ifru.proof.retained import Retained
from ifru.proof.sums import EPS, Sum

_ACCURACY = 1e-10
"""Relative accuracy of σ beyond which no work goes into it."""
_SHARE = 0.01
"""Share of the gap that may come from not knowing σ exactly."""


@dataclass(frozen=True)
class Proof:
    """What is proven about a version.

    objective: L(θ). dual_value: min L at least. gap: their difference, rounding included. relative_gap: gap / L.
    sigma: σ_max(D_u^-½ A D_i^-½) at most, sigma_lower: at least, of the dual point before it is scaled.
    rms_bound: on the root mean square, over the retained interactions of positive weight, of the difference in
    predictions (probabilities with bce, scores with squared) to the minimiser of L.
    retained: N. failure_probability: that of the random start that `sigma`, and all that follows from it, rests on.
    direction: the dimensions to add, where the version's own σ is above λ for certain.
    dual: the dual point of this proof, feasible as it is.
    """

    objective: float
    dual_value: float
    gap: float
    relative_gap: float
    sigma: float
    sigma_over_lambda: float
    sigma_lower: float
    rms_bound: float
    retained: int
    failure_probability: float
    direction: Direction | None
    dual: Dual


def _silent(progress: Progress) -> None:
    """A proof that nobody watches."""


def prove(
    tables: Parameters,
    interactions: Interactions,
    config: ModelConfig,
    *,
    random: torch.Generator,
    dual: Dual | None = None,
    report: Callable[[Progress], None] = _silent,
) -> Proof:
    """Prove how far tables (float32 or float64) are from the optimum of their retained interactions.

    dual: a dual point from another version on the same data, in place of the version's own. random: an auditor's own
    generator, so that nobody could have prepared for its numbers.
    Raises ProofError where tables, data, model and dual point do not belong together.
    """
    if not model_of(config).capabilities.provable:
        raise ProofError(f"model {config.name!r} has no proof; it needs a score that is a dot product of rows")
    loss = loss_of(config.loss)
    retained = Retained.of(interactions, loss)
    tables = in_float64(tables, retained, config)
    score = scores(tables, retained, config)
    primal = objective(tables, retained, score, loss, config)
    alpha = retained.weight * loss.slope(score, retained.label) if dual is None else dual.on(retained, config)
    bound = _Bound(alpha, retained, loss, config)
    start = _factors(tables, retained, config.rank) if dual is None else dual.subspace.double()
    matrix = scaled_matrix(alpha, retained)
    norm = spectral_norm(matrix, start, random, _enough(bound, primal, score), report)
    scale = best_scale(lambda c: bound.at(c).value, _feasible(config.l2, norm.upper))
    below = bound.at(scale)
    gap = max(primal.value - below.value, 0.0) + primal.error + below.error
    return Proof(
        objective=primal.value,
        dual_value=primal.value - gap,
        gap=gap,
        relative_gap=gap / primal.value if primal.value > 0 else 0.0,
        sigma=norm.upper,
        sigma_over_lambda=norm.upper / config.l2,
        sigma_lower=norm.lower,
        rms_bound=_distance(gap, retained, loss),
        retained=len(retained),
        failure_probability=norm.failure,
        direction=_direction(norm, start, retained, score, loss, config, primal) if dual is None else None,
        dual=Dual(scale * alpha, norm.subspace.float(), config.loss, retained.fingerprint()),
    )


@dataclass(frozen=True)
class _Bound:
    """The lower bounds D(c·α) that one dual point gives. alpha [N]."""

    alpha: Tensor
    retained: Retained
    loss: Loss
    config: ModelConfig

    def at(self, scale: float) -> Sum:
        """D(c·α)."""
        return dual_value(scale * self.alpha, self.retained, self.loss, self.config)


def _factors(tables: Parameters, retained: Retained, rank: int) -> Tensor:
    """D_u^½ P [U, rank] or D_i^½ Q [I, rank], of the shorter side: at the optimum they span the leading vectors."""
    shorter = retained.user_degree, tables.user
    if len(retained.item_degree) <= len(retained.user_degree):
        shorter = retained.item_degree, tables.item
    degree, table = shorter
    return degree.sqrt()[:, None] * table[:, :rank]


def _feasible(l2: float, sigma: float) -> float:
    """The largest c ≤ 1 with c·σ ≤ λ, rounding of c and of c·α included."""
    return 1.0 if sigma <= l2 * (1 - 8 * EPS) else l2 / sigma * (1 - 8 * EPS)


def _enough(bound: _Bound, primal: Sum, score: Tensor) -> Enough:
    """σ is known well enough where the gap would hardly gain from knowing it better."""
    # Near the optimum D(c·α) rises with c about this steeply.
    slope = abs(float((bound.alpha * score).sum()))

    @cache
    def gap(lower: float) -> float:
        return primal.value - bound.at(_feasible(bound.config.l2, lower)).value

    def enough(lower: float, upper: float) -> bool:
        if upper <= lower * (1 + _ACCURACY):
            return True
        if lower <= 0 or not math.isfinite(upper):
            return False
        lost = _feasible(bound.config.l2, lower) - _feasible(bound.config.l2, upper)
        return slope * lost <= _SHARE * gap(lower)

    return enough


def _distance(gap: float, retained: Retained, loss: Loss) -> float:
    positive = retained.weight[retained.weight > 0]
    return loss.distance_bound(gap, float(positive.min()), len(positive)) if len(positive) else 0.0


def _direction(
    norm: SpectralNorm,
    factors: Tensor,
    retained: Retained,
    score: Tensor,
    loss: Loss,
    config: ModelConfig,
    primal: Sum,
) -> Direction | None:
    if norm.lower <= config.l2:
        return None
    return downhill(norm, factors, retained, score, loss, config, primal.value)
