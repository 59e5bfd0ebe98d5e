"""How far a version is from the optimum of its retained objective, proven by duality.

    gap = L(θ) − D(α)  ≥  L(θ) − min L

See `docs/proof.md` for what is proven, how, and what is not. Axes: N retained interactions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import torch
from torch import Tensor

from ifru.objective.parameters import Parameters
from ifru.proof.direction import Direction, downhill
from ifru.proof.dual import Bound, Dual, best_scale, feasible
from ifru.proof.duality import Duality
from ifru.proof.eigenvalue import Enough
from ifru.proof.primal import in_float64, objective
from ifru.proof.sums import Sum

_ACCURACY = 1e-10
"""Relative accuracy of σ beyond which no work goes into it."""
_SHARE = 0.01
"""Share of the gap that may come from not knowing σ exactly."""


@dataclass(frozen=True)
class Proof:
    """What is proven about a version.

    objective: L(θ). dual_value: min L at least. gap: their difference, rounding included. relative_gap: gap / L.
    sigma: σ(α) at most, sigma_lower: at least, of the dual point before it is scaled (see `ifru.proof.duality`).
    rms_bound: on the root mean square, over the retained interactions of positive weight, of the difference in
    predictions (probabilities with bce, scores with squared) to the minimiser of L; with bpr over the comparisons of
    such weight, in the probability that the positive is preferred. retained: N; with bpr the number of comparisons.
    failure_probability: that of the random start that `sigma`, and all that follows from it, rests on.
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


def uninterrupted() -> None:
    """What a proof calls at every step where nobody interrupts it."""


def proof_of(
    parameters: Parameters,
    duality: Duality,
    *,
    random: torch.Generator,
    dual: Dual | None = None,
    check: Callable[[], None] = uninterrupted,
) -> Proof:
    """Prove how far parameters (float32 or float64) are from the optimum of their retained interactions.

    duality: of the model on these interactions (`Model.duality`). dual: a dual point from another version on the same
    data, in place of the version's own. random: an auditor's own generator, so that nobody could have prepared for its
    numbers. check(): called at every step; what it raises ends the work.
    Raises ProofError where parameters, data and dual point do not belong together.
    """
    retained, l2 = duality.retained, duality.l2
    theta = in_float64(parameters, duality)
    scores = duality.scores(theta)
    primal = objective(theta, scores, duality)
    alpha = retained.weight * duality.loss.slope(scores.value, retained.label) if dual is None else dual.on(duality)
    rows = duality.rows_elsewhere(theta) if dual is None else dual.rows
    bound = Bound.of(alpha, duality, rows)
    start = duality.start(theta) if dual is None else dual.subspace.double()
    spectrum = duality.spectrum(alpha, start, random, _enough(bound, primal, scores.value), check, rows)
    scale = best_scale(lambda c: bound.at(c).value, feasible(l2, spectrum.upper))
    below = bound.at(scale)
    gap = max(primal.value - below.value, 0.0) + primal.error + below.error
    direction = None
    if dual is None and spectrum.lower > l2:
        direction = downhill(duality, spectrum, theta, scores.value, primal.value)
    return Proof(
        objective=primal.value,
        dual_value=primal.value - gap,
        gap=gap,
        relative_gap=gap / primal.value if primal.value > 0 else 0.0,
        sigma=spectrum.upper,
        sigma_over_lambda=spectrum.upper / l2,
        sigma_lower=spectrum.lower,
        rms_bound=_distance(gap, duality),
        retained=len(retained),
        failure_probability=spectrum.failure,
        direction=direction,
        dual=Dual(
            scale * alpha,
            spectrum.subspace.float(),
            duality.loss.name,
            retained.fingerprint(),
            None if rows is None else scale**0.5 * rows,
        ),
    )


def proof_by(known: Proof, parameters: Parameters, duality: Duality) -> Proof:
    """The proof of other parameters on the same data by the lower bound on min L that is known: one evaluation of L."""
    theta = in_float64(parameters, duality)
    primal = objective(theta, duality.scores(theta), duality)
    gap = max(primal.value + primal.error - known.dual_value, 0.0)
    relative = gap / primal.value if primal.value > 0 else 0.0
    bound = _distance(gap, duality)
    return replace(known, objective=primal.value, gap=gap, relative_gap=relative, rms_bound=bound, direction=None)


def _enough(bound: Bound, primal: Sum, score: Tensor) -> Enough:
    """σ is known well enough where the gap would hardly gain from knowing it better."""
    # Near the optimum D(c·α) rises with c about this steeply.
    slope = abs(float((bound.alpha * score).sum()) + 2 * bound.elsewhere.value)
    l2 = bound.duality.l2

    @cache
    def gap(lower: float) -> float:
        return primal.value - bound.at(feasible(l2, lower)).value

    def enough(lower: float, upper: float) -> bool:
        if upper <= lower * (1 + _ACCURACY):
            return True
        if not math.isfinite(upper) or (lower <= 0 and upper > l2):
            return False
        lost = feasible(l2, lower) - feasible(l2, upper)
        return slope * lost <= _SHARE * gap(lower)

    return enough


def _distance(gap: float, duality: Duality) -> float:
    positive = duality.retained.weight[duality.retained.weight > 0]
    return duality.loss.distance_bound(gap, float(positive.min()), len(positive)) if len(positive) else 0.0
