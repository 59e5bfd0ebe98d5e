"""What the exactly retrained model says of chosen pairs, bounded from both sides.

    f = Σ_z c_z·s_z        D(±μ) ≤ min L ∓ μ·f        −(L̂ − D(−μ))/μ  ≤  f*  ≤  (L̂ − D(+μ))/μ

f* is that of the minimiser of L, and L̂ the objective of any parameters. The D are dual values as for a version, with
σ(α ∓ μc) ≤ λ in place of σ(α) ≤ λ: each has a loss of its own for retained interactions, and the chosen pairs, which
need not be retained, have none. See `docs/proof.md`.

Axes: N retained interactions, R rows of θ, K columns of a row, M chosen pairs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from ifru.objective.parameters import Parameters
from ifru.objective.tilted import ChosenPairs
from ifru.proof.dual import Bound, Dual, feasible
from ifru.proof.duality import Duality
from ifru.proof.eigenvalue import Enough
from ifru.proof.errors import ProofError
from ifru.proof.nearby import FAILURE, Known
from ifru.proof.primal import in_float64, objective
from ifru.proof.proof import uninterrupted
from ifru.proof.sums import EPS, Sum

_SHARE = 0.05
"""Share of an end's distance to the solution's f that may come from not knowing σ exactly."""

_ACCURACY = 1e-11
"""Relative accuracy of σ beyond which no work goes into it."""

_SLACKS = 8
"""So many times what rounding leaves open, σ is known as well as it can be."""

_UNUSED = 1e-6
"""Directions of a solution that are so much shorter than its longest one are not followed."""


@dataclass(frozen=True)
class PairDual:
    """What proves an interval, as data. None of it is trusted.

    pairs: and their weights, finite. solution [R, K] float64: any parameters; the lower their L, the better. above,
    below: dual points of L − reward·f and L + reward·f, on the same retained rows. reward: μ, a power of two, so that
    μ·c has no rounding.
    """

    pairs: ChosenPairs
    solution: Tensor
    above: Dual
    below: Dual
    reward: float


@dataclass(frozen=True)
class Interval:
    """low ≤ f* ≤ high, with probability 1 − failure_probability: that of the random starts that both rest on."""

    low: float
    high: float
    failure_probability: float


@dataclass(frozen=True)
class Anchor:
    """What all intervals from one solution share, found out anew from it: L̂, and the spectrum of its own slopes.

    best: L̂. gap: L̂ − D of these slopes, rounding included. known: of their operator. failure: the probability that it
    is wrong.
    """

    solution: Tensor
    best: Sum
    gap: float
    known: Known
    failure: float

    @staticmethod
    def of(
        solution: Tensor,
        duality: Duality,
        random: torch.Generator,
        check: Callable[[], None] = uninterrupted,
    ) -> Anchor:
        """solution [R, K]; the rest as for `interval`."""
        theta = in_float64(Parameters.unstacked(solution, duality.retained.shape[0]), duality)
        scores = duality.scores(theta)
        own = dual_at(theta, duality)
        spectrum = duality.spectrum(own.alpha, duality.start(theta), random, _within, check, own.rows)
        known, best = Known.of(duality.operator(own.alpha, own.rows), spectrum.found), objective(theta, scores, duality)
        split, rest = known.near(known.operator, known.vectors, random)
        upper = split.upper(rest)
        sigma = min(math.sqrt(max(upper, 0.0)) if duality.squared else upper, spectrum.upper)
        below = Bound.of(own.alpha, duality, own.rows).at(feasible(duality.l2, sigma))
        gap = max(best.value - below.value, 0.0) + best.error + below.error
        return Anchor(theta, best, gap, known, spectrum.failure + FAILURE)

    def subspace(self, theta: Tensor, duality: Duality) -> Tensor:
        """Where the known vectors go [n, r] as the solution goes to θ [R, K], to first order."""
        vectors, before = self.known.vectors, duality.start(self.solution)
        inside = torch.linalg.lstsq(before, vectors, rcond=_UNUSED, driver="gelsd").solution
        moved: Tensor = vectors + (duality.start(theta) - before) @ inside
        return moved


def _within(lower: float, upper: float) -> bool:
    return upper <= lower * (1 + _ACCURACY)


def interval(
    dual: PairDual,
    duality: Duality,
    *,
    random: torch.Generator,
    check: Callable[[], None] = uninterrupted,
    anchor: Anchor | None = None,
) -> Interval:
    """Bound what the minimiser of L says of a dual point's pairs: zero where nothing is retained of them.

    random, check(): as for `proof_of`. anchor: of the dual point's solution, where it is at hand. Raises ProofError
    where the dual point is for other data, or damaged.
    """
    _check(dual, duality)
    ends = [(1.0, dual.above.on(duality), dual.above), (-1.0, dual.below.on(duality), dual.below)]
    held = scored(duality, dual.pairs)
    if not bool(held.any()):
        return Interval(0.0, 0.0, 0.0)
    user, item = dual.pairs.user[held], dual.pairs.item[held]
    joined, place = duality.joined(user, item)
    reward = dual.reward * dual.pairs.weight[held]
    anchor = anchor or Anchor.of(dual.solution, duality, random, check)
    solution, best = anchor.solution, anchor.best
    said = float((reward * joined.scores(solution).value[place[-len(user) :]]).sum())
    found, failure = list[float](), anchor.failure
    for sign, alpha, side in ends:
        value = torch.empty(len(place), dtype=torch.float64)
        value[place] = torch.cat([alpha, -sign * reward])
        bound = Bound.of(value, joined, side.rows)
        enough = _enough(bound, best.value, sign * said)
        sigma, failed = _sigma(value, side, joined, anchor.known, random, enough, check)
        scale = feasible(joined.l2, sigma)
        below = bound.at(scale)
        gap = best.value - below.value + best.error + below.error + 2 * EPS * abs(best.value)
        end = gap / (scale * dual.reward) if scale > 0 else math.inf
        found.append(sign * (end + 4 * EPS * abs(end)))
        failure += failed
    return Interval(found[1], found[0], failure)


def _sigma(
    value: Tensor,
    side: Dual,
    joined: Duality,
    known: Known,
    random: torch.Generator,
    enough: Enough,
    check: Callable[[], None],
) -> tuple[float, float]:
    """σ of a dual point's numbers at most, and the probability that it is larger.

    From what is known of the solution's own, where that is near enough, as it is of dual points that solving found.
    """
    check()
    split, rest = known.near(joined.operator(value, side.rows), side.subspace.double(), random)
    upper = split.upper(rest)
    if rest < split.lower and upper - split.lower <= _SLACKS * split.slack:
        return math.sqrt(upper) if joined.squared else upper, FAILURE
    spectrum = joined.spectrum(value, side.subspace.double(), random, enough, check, side.rows)
    return spectrum.upper, spectrum.failure


def scored(duality: Duality, pairs: ChosenPairs) -> Tensor:
    """Which pairs [M] may have another score than zero: both ends have interactions, or one where there are biases."""
    users, held = duality.retained.shape[0], duality.penalised > 0
    user, item = held[pairs.user], held[pairs.item + users]
    return user | item if duality.width > duality.rank else user & item


def dual_at(theta: Tensor, duality: Duality, anchor: Anchor | None = None) -> Dual:
    """The dual point of parameters θ [R, K] in float64, which may minimise a tilted objective: as it is, unscaled.

    anchor: of a solution nearby.
    """
    retained = duality.retained
    alpha = retained.weight * duality.loss.slope(duality.scores(theta).value, retained.label)
    subspace = duality.start(theta) if anchor is None else anchor.subspace(theta, duality)
    rows = duality.rows_elsewhere(theta)
    return Dual(alpha, subspace.float(), duality.loss.name, retained.fingerprint(), rows)


def _enough(bound: Bound, best: float, said: float) -> Enough:
    """σ is known well enough where an end would hardly move if it were known better.

    said: μ·f of the solution, in the direction of the end.
    """
    l2, step = bound.duality.l2, 1e-3
    slope = abs(bound.at(1).value - bound.at(1 - step).value) / step

    @cache
    def distance(lower: float) -> float:
        scale = feasible(l2, lower)
        return best - bound.at(scale).value - scale * said

    def enough(lower: float, upper: float) -> bool:
        if not math.isfinite(upper) or (lower <= 0 and upper > l2):
            return False
        lost = feasible(l2, lower) - feasible(l2, upper)
        return slope * lost <= _SHARE * distance(lower)

    return enough


def _check(dual: PairDual, duality: Duality) -> None:
    """Raises ProofError where the pairs, their weights or the reward cannot be."""
    pairs, shape = dual.pairs, duality.retained.shape
    if pairs.user.ndim != 1 or not pairs.user.shape == pairs.item.shape == pairs.weight.shape:
        raise ProofError("the dual point's pairs are no list of users, items and weights; it is damaged")
    for side, numbers, count in (("user", pairs.user, shape[0]), ("item", pairs.item, shape[1])):
        if not bool(((numbers >= 0) & (numbers < count)).all()):
            raise ProofError(f"the dual point has a pair whose {side} the data do not have: they have {count}")
    if not bool(pairs.weight.isfinite().all()):
        raise ProofError("the dual point has a pair whose weight is not finite; it is damaged")
    if not (0 < dual.reward < math.inf and math.frexp(dual.reward)[0] == 0.5):
        raise ProofError(f"the dual point's reward is {dual.reward}; allowed are powers of two")
    if dual.solution.ndim != 2 or len(dual.solution) != sum(shape):
        raise ProofError(
            f"the dual point's solution is no table of {sum(shape)} rows; it is for other data, or damaged"
        )
