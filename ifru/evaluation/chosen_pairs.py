"""Proofs of what the exactly retrained model says of chosen pairs: a person's, say.

Two solves give an interval: of the objective with a reward for the pairs' scores, and with a penalty. Both start where
the curvature along these scores says, from a solution that all proofs on the same data share.

Axes: R rows, K columns of a row, M chosen pairs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ifru.curvature.preconditioner import whole
from ifru.interactions import Interactions
from ifru.kernels.dispatch import dot
from ifru.models import ModelConfig, model_of
from ifru.objective.parameters import Parameters
from ifru.objective.tilted import ChosenPairs, tilted
from ifru.proof import ProofError, uninterrupted
from ifru.proof.chosen_pairs import Anchor, PairDual, dual_at, interval
from ifru.proof.duality import inverse_root
from ifru.proof.primal import in_float64
from ifru.solvers.elimination import Elimination
from ifru.solvers.pcg import Limits, Solution, solve
from ifru.solvers.trust_region import descend
from ifru.training import polish

_FIRST_GAP = 1e-12
"""What L̂ − D is thought to come to without a reward, as a share of L, before it is known."""

_WORTH = 0.6
"""Another reward is tried where it promises an interval this much narrower."""

_REWARDS = 3
"""That are tried at most."""

_TOLERANCE = 2e-13
"""Gradient norm that tilted solves end at, in √L, or where rounding does: dual points are off by its first order."""

_STEPS, _PRODUCTS = 20, 400
"""Newton steps of a tilted solve, and products of each solve, at most."""

_RADIUS = 1e5
"""First trust region of a tilted solve, in lengths of the block step: what is left lies along soft directions."""

_FAR = 100
"""The same of the response to a reward: the Hessian may be all but singular."""

_ROUNDS = 4
"""Rounds of solving for both tilted optima at once, with the Hessian of the solution; farther away each descends."""

_MOST = 0.1
"""Share of λ that a reward comes to at most, as λ is held against D^-½ A D^-½: past it there may be no minimum."""


@dataclass(frozen=True)
class PairsProven:
    """What is proven of Σ c·s over chosen pairs: low ≤ that of the exactly retrained model ≤ high.

    products: with the Hessian. dual: proves the same without solving.
    """

    low: float
    high: float
    failure_probability: float
    products: int
    dual: PairDual

    def bound(self, published: float) -> float:
        """How far a version that says `published` can be from the exactly retrained model."""
        return max(published - self.low, self.high - published)


class PairProver:
    """Proves intervals on the retained interactions of one data set."""

    def __init__(
        self,
        parameters: Parameters,
        interactions: Interactions,
        config: ModelConfig,
        *,
        check: Callable[[], None] = uninterrupted,
        budget_bytes: float = math.inf,
    ) -> None:
        """Solve on from parameters to next to the optimum, in float64.

        check(): called at every step and every product with the Hessian; what it raises ends the work. budget_bytes: of
        the inverse blocks. Raises ProofError where no proof is known for this kind of model, or the shapes do not fit.
        """
        check_provable(config)
        self._check, model = check, model_of(config)
        self._duality = model.duality(interactions)
        theta = in_float64(parameters, self._duality)
        solved = polish(interactions, config, theta, self._stop, budget_bytes)
        self.solution, self.products = solved.parameters, solved.products
        self._objective = model.objective(interactions, torch.device("cpu"), torch.float64)
        self._point = self._objective.at(solved.theta)
        self._anchor: Anchor | None = None
        self._metric = whole(self._point, np.arange(len(theta)), budget_bytes)

    def prove(self, pairs: ChosenPairs, random: torch.Generator) -> PairsProven:
        """An interval for f = Σ c·s of the exactly retrained model. random: an auditor's own, as for `proof_of`."""
        if self._anchor is None:
            self._anchor = Anchor.of(self._point.theta, self._duality, random, self._check)
        gap, aim = _FIRST_GAP * self._point.value, _TOLERANCE * math.sqrt(self._point.value)
        gradient = self._point.gradient - tilted(self._objective, pairs, 1.0).at(self._point.theta).gradient
        # The blocks alone know roughly what the curvature along f is.
        response = self._solved(gradient, aim / self._reward(gap, self._norm(gradient) ** 2, pairs), _FAR)
        curvature, products = dot(gradient, response.x), response.iterations
        found, failure = None, 0.0
        for _ in range(_REWARDS):
            reward = self._reward(gap, curvature, pairs)
            dual, steps = self._tilted(pairs, response.x, reward)
            bounds = interval(dual, self._duality, random=random, check=self._check, anchor=self._anchor)
            # To choose the best one, all must hold.
            failure += bounds.failure_probability
            products += steps
            if found is None or bounds.high - bounds.low < found[0].high - found[0].low:
                found = bounds, dual
            width = bounds.high - bounds.low
            gap = max((width - reward * curvature) * reward / 2, _FIRST_GAP / 1e3 * self._point.value)
            if width == 0 or 2 * math.sqrt(2 * gap * curvature) > _WORTH * width:
                break
        assert found is not None
        best, dual = found
        return PairsProven(best.low, best.high, failure, products, dual)

    def _solved(self, gradient: Tensor, aim: float, radius: float) -> Solution:
        """H⁻¹ times a gradient [R, K], until `aim` is the norm of what is left. radius: in lengths of M⁻¹ times it."""
        scaled = self._metric.apply(gradient)
        norm = math.sqrt(max(dot(gradient, scaled), 0.0))
        limits = Limits(min(aim / max(norm, aim), 0.1), _PRODUCTS, radius * norm)
        reduced = Elimination.of(self._point, self._metric)
        if reduced is not None:
            return reduced.solve(gradient, scaled, norm, limits, self._stop)
        return solve(
            lambda direction, _: self._point.product(direction),
            self._metric.apply,
            gradient,
            limits,
            self._stop,
            scaled,
        )

    def _norm(self, gradient: Tensor) -> float:
        return math.sqrt(max(dot(gradient, self._metric.apply(gradient)), 0.0))

    def _reward(self, gap: float, curvature: float, pairs: ChosenPairs) -> float:
        """The power of two next to the μ with the narrowest interval: its width is μ·curvature + 2·gap/μ."""
        wanted = math.sqrt(2 * gap / curvature) if curvature > 0 else 1.0
        root = inverse_root(self._duality.penalised)[:, 0]
        size = float((pairs.weight * root[pairs.user] * root[pairs.item + self._objective.interactions.users]).norm())
        most = _MOST * self._duality.l2 / size if size > 0 else 1.0
        return 2.0 ** round(math.log2(min(wanted, most)))

    def _tilted(self, pairs: ChosenPairs, response: Tensor, reward: float) -> tuple[PairDual, int]:
        """The dual points of both tilted optima, and the products that finding these took.

        The optima are nearly mirror images of each other. What both lack, and what one has too much of as the other
        has too little, is solved for once for both, and less of it is left from round to round.
        """
        theta, ends, products = self._point.theta, (reward, -reward), 0
        objectives = [tilted(self._objective, pairs, signed) for signed in ends]
        places = [theta + signed * response for signed in ends]
        aim, left = _TOLERANCE * math.sqrt(self._point.value), math.inf
        trial = places
        for _ in range(_ROUNDS):
            ahead, back = (at.at(place).gradient for at, place in zip(objectives, trial, strict=True))
            both, one = (ahead + back) / 2, (ahead - back) / 2
            norms = self._norm(both), self._norm(one)
            if not max(norms) < left:
                break
            places, left = trial, max(norms)
            if left <= aim:
                break
            for part, norm, mirrored in zip((both, one), norms, (1, -1), strict=True):
                if norm > aim:
                    step = self._solved(part, aim / 2, _RADIUS)
                    trial = [trial[0] - step.x, trial[1] - mirrored * step.x]
                    products += step.iterations
        sides = [
            # The blocks hardly change that far from the solution, and to build them takes longer than to solve.
            descend(at.at(place), lambda _: self._metric, _limits, _STEPS, self._stop, radius=_RADIUS)
            for at, place in zip(objectives, places, strict=True)
        ]
        first, second = (dual_at(side.point.theta, self._duality, self._anchor) for side in sides)
        return PairDual(pairs, theta, first, second, reward), products + sum(side.products for side in sides)

    def _stop(self) -> bool:
        self._check()
        return False


def _limits(norm: float, value: float) -> Limits | None:
    size = math.sqrt(max(value, 0.0))
    return None if not norm > 4 * _TOLERANCE * size else Limits(min(0.1, math.sqrt(norm / max(size, norm))), _PRODUCTS)


def check_provable(config: ModelConfig) -> None:
    """Raises ProofError where no proof of chosen pairs is known for this kind of model."""
    model = model_of(config)
    if not model.capabilities.provable or not {"embedding"} <= set(model.columns) <= {"embedding", "bias"}:
        raise ProofError(
            f"no proof of chosen pairs is known for models of the kind {config.name!r}: scores are to be dot products "
            "of rows, with or without biases, and the objective provable; ifru verify measures instead"
        )


def pair_scores(config: ModelConfig, serving: Parameters, pairs: ChosenPairs) -> Tensor:
    """s [M] in float64 of the tables that serve."""
    return model_of(config).scores(serving.user[pairs.user].double(), serving.item[pairs.item].double())
