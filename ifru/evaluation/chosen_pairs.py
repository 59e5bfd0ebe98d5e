"""Proofs of what the exactly retrained model says of chosen pairs: a person's, say.

Two solves give an interval: of the objective with a reward for the pairs' scores, and with a penalty. Both start where
the curvature along these scores says, from a solution that all proofs on the same data share.

Axes: R rows, K columns of a row, M chosen pairs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ifru.curvature.preconditioner import Preconditioner, whole
from ifru.interactions import Interactions
from ifru.kernels.dispatch import dot
from ifru.models import ModelConfig, model_of
from ifru.objective import Linearised, Objective
from ifru.objective.parameters import Parameters
from ifru.objective.tilted import ChosenPairs, tilted
from ifru.proof import ProofError, uninterrupted
from ifru.proof.chosen_pairs import Anchor, PairDual, dual_at, interval
from ifru.proof.duality import inverse_root
from ifru.proof.primal import in_float64
from ifru.solvers.elimination import Elimination
from ifru.solvers.face import Face
from ifru.solvers.pcg import Limits, Solution, solve
from ifru.solvers.trust_region import descend
from ifru.training.accuracy import POLISHED, PROVEN
from ifru.training.dimensions import has_spare, woken

_WORTH = 0.6
"""Another reward is tried where it promises an interval this much narrower."""

_REWARDS = 3
"""That are tried at most."""

_RESPONSE, _FAR = 3e-3, 100
"""How exactly the response to a reward is solved for, and how far it goes at most, in lengths of the blocks' response:
the Hessian may be all but singular. What the dimensions in use can take of the rest is taken later."""

_LEFT, _ROUNDS, _SETTLED = 0.1, 4, 8
"""Share of the gap that may be left in the face of the solution after so many rounds; where it is so many times as
much, the optima are too far from the solution, and each descends."""

_TOLERANCE, _RADIUS = 1e-12, 1e5
"""Gradient norm that such a descent ends at, in √L, and its first trust region, in lengths of the block step: what is
left lies along soft directions."""

_STEPS, _PRODUCTS = 100, 400
"""Newton steps of a descent, and products of each solve, at most."""

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
        self._check, self._budget_bytes, model = check, budget_bytes, model_of(config)
        self._duality = model.duality(interactions)
        self._objective = model.objective(interactions, torch.device("cpu"), torch.float64)
        self._anchor: Anchor | None = None
        self.products = 0
        self._solve_on(in_float64(parameters, self._duality))

    def _solve_on(self, theta: Tensor) -> None:
        """Go on from θ [R, K] to next to the optimum: the solution that all proofs share."""

        def metric(point: Linearised) -> Preconditioner:
            self._metric = whole(point, np.arange(len(theta)), self._budget_bytes)
            return self._metric

        solved = descend(self._objective.at(theta), metric, _limits(POLISHED), _STEPS, self._stop)
        self._point = solved.point
        self.products += solved.products
        self.solution = self._objective.layout.parameters(solved.point.theta)
        self._face = Face(solved.point, self._duality.rank, self._duality.penalised)

    def _anchored(self, random: torch.Generator) -> Anchor:
        """What all proofs share. Where its gap stays open, a dimension may be missing that the model has to spare."""
        if self._anchor is None:
            self._anchor = Anchor.of(self._point.theta, self._duality, random, self._check)
            is_open = self._anchor.gap > PROVEN[torch.float64] * self._anchor.best.value
            if is_open and has_spare(self._point.theta):
                self._solve_on(woken(self._point.theta, random))
                self._anchor = Anchor.of(self._point.theta, self._duality, random, self._check)
        return self._anchor

    def prove(self, pairs: ChosenPairs, random: torch.Generator) -> PairsProven:
        """An interval for f = Σ c·s of the exactly retrained model. random: an auditor's own, as for `proof_of`."""
        anchor = self._anchored(random)
        gradient = self._point.gradient - tilted(self._objective, pairs, 1.0).at(self._point.theta).gradient
        response = self._solved(gradient)
        curvature, products = dot(gradient, response.x), response.iterations
        found, failure, gap = None, 0.0, anchor.gap
        for _ in range(_REWARDS):
            reward = self._reward(gap, curvature, pairs)
            dual, steps = self._tilted(pairs, response.x, reward, gap)
            bounds = interval(dual, self._duality, random=random, check=self._check, anchor=anchor)
            # To choose the best one, all must hold.
            failure += bounds.failure_probability
            products += steps
            if found is None or bounds.high - bounds.low < found[0].high - found[0].low:
                found = bounds, dual
            width = bounds.high - bounds.low
            gap = max((width - reward * curvature) * reward / 2, anchor.gap / 4)
            if width == 0 or 2 * math.sqrt(2 * gap * curvature) > _WORTH * width:
                break
        assert found is not None
        best, dual = found
        return PairsProven(best.low, best.high, failure, products, dual)

    def _solved(self, gradient: Tensor) -> Solution:
        """H⁻¹ times a gradient [R, K], roughly."""
        scaled = self._metric.apply(gradient)
        norm = math.sqrt(max(dot(gradient, scaled), 0.0))
        limits = Limits(_RESPONSE, _PRODUCTS, _FAR * norm)
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

    def _reward(self, gap: float, curvature: float, pairs: ChosenPairs) -> float:
        """The power of two next to the μ with the narrowest interval: its width is μ·curvature + 2·gap/μ."""
        wanted = math.sqrt(2 * gap / curvature) if curvature > 0 else 1.0
        root = inverse_root(self._duality.penalised)[:, 0]
        size = float((pairs.weight * root[pairs.user] * root[pairs.item + self._objective.interactions.users]).norm())
        most = _MOST * self._duality.l2 / size if size > 0 else 1.0
        return 2.0 ** round(math.log2(min(wanted, most)))

    def _tilted(self, pairs: ChosenPairs, response: Tensor, reward: float, gap: float) -> tuple[PairDual, int]:
        """The dual points of both tilted optima, and the products that finding these took.

        The optima are nearly mirror images of each other. What both lack, and what one has too much of as the other
        has too little, is solved for once for both. gap: next to which what is left shall not count.
        """
        theta, ends, products, left = self._point.theta, (reward, -reward), 0, math.inf
        objectives = [tilted(self._objective, pairs, signed) for signed in ends]
        trial = places = [theta + signed * response for signed in ends]
        aim = _LEFT * gap / max(float(self._face.squares.sum()), _LEFT)
        for _ in range(_ROUNDS):
            ahead, back = (self._face.seen(at.at(place).gradient) for at, place in zip(objectives, trial, strict=True))
            parts = ((ahead + back) / 2, (ahead - back) / 2)
            norms = [float(part.norm()) for part in parts]
            if not max(norms) < left:
                break
            places, left = trial, max(norms)
            if left <= aim:
                break
            for part, norm, mirrored in zip(parts, norms, (1, -1), strict=True):
                if norm > aim:
                    found = self._face.solve(part, Limits(aim / (2 * norm), _PRODUCTS), self._stop)
                    step = self._face.step(found.x)
                    trial = [trial[0] - step, trial[1] - mirrored * step]
                    products += found.iterations
        if left > _SETTLED * aim:
            places, steps = self._descended(objectives, places)
            products += steps
        first, second = (dual_at(place, self._duality, self._anchor) for place in places)
        return PairDual(pairs, theta, first, second, reward), products

    def _descended(self, objectives: Sequence[Objective], places: Sequence[Tensor]) -> tuple[list[Tensor], int]:
        """Tilted optima [R, K] that are too far from the solution for its Hessian, and products."""
        sides = [
            # The blocks hardly change that far from the solution, and to build them takes longer than to solve.
            descend(at.at(place), lambda _: self._metric, _limits(_TOLERANCE), _STEPS, self._stop, radius=_RADIUS)
            for at, place in zip(objectives, places, strict=True)
        ]
        return [side.point.theta for side in sides], sum(side.products for side in sides)

    def _stop(self) -> bool:
        self._check()
        return False


def _limits(tolerance: float) -> Callable[[float, float], Limits | None]:
    """Of solves that are the more exact the nearer the gradient is to zero, down to a norm of tolerance·√L."""

    def limits(norm: float, value: float) -> Limits | None:
        size = math.sqrt(max(value, 0.0))
        return None if not norm > tolerance * size else Limits(min(0.1, math.sqrt(norm / max(size, norm))), _PRODUCTS)

    return limits


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


def by_change(user: Tensor, item: Tensor, now: Tensor, before: Tensor | None) -> ChosenPairs:
    """Pairs [M], each weighed by its share of the change of scores, or all the same where there is none."""
    change = torch.zeros_like(now) if before is None else before - now
    length = change.norm()
    weight = change / length if length else torch.full_like(now, 1 / len(now))
    return ChosenPairs(user, item, weight)
