"""Losses of a score s against a label y: value, derivatives, and the conjugate that the proof needs.

All functions take and return tensors of the same shape [N].
"""

from __future__ import annotations

from typing import Literal, Protocol

import torch
from torch import Tensor

LossName = Literal["bce", "squared", "bpr"]
"""bce and squared are of a pair's score, bpr of the difference of two (`ifru.objective.bpr`)."""


_CERTAIN = 1e-3
"""A label is as good as certain this near to 0 and 1."""

_NEAR = 6.0
"""Scores are near within so many cube roots of the rounding of 1: there the derivative in the middle is closer to the
mean than a difference of two values is."""


class Loss(Protocol):
    """A convex loss ℓ(s, y), twice differentiable in s."""

    name: LossName

    def value(self, score: Tensor, label: Tensor) -> Tensor:
        """ℓ(s, y)."""
        ...

    def slope(self, score: Tensor, label: Tensor) -> Tensor:
        """ℓ'(s, y), in s."""
        ...

    def curvature(self, score: Tensor, label: Tensor) -> Tensor:
        """ℓ''(s, y), in s; never negative."""
        ...

    def link(self, label: Tensor) -> Tensor:
        """The score s at which ℓ'(s, y) is zero, or nearly so where there is none."""
        ...

    def conjugate(self, dual: Tensor, label: Tensor) -> Tensor:
        """ℓ*(α, y) = sup_s αs − ℓ(s, y), for duals c·ℓ'(s, y) with c in [0, 1]."""
        ...

    def distance_bound(self, gap: float, weight: float, count: int) -> float:
        """What a suboptimality says about predictions.

        gap: L(θ) − min L at most. weight: the smallest weight of a pair. count: number of pairs N.
        Returns a bound on the root mean square, over the pairs, of the difference in prediction to the minimiser.
        """
        ...


class BinaryCrossEntropy:
    """Cross-entropy of σ(s) with labels in [0, 1]; with label 1 that of bpr, softplus(−t), of a difference t."""

    def __init__(self, name: LossName = "bce") -> None:
        self.name: LossName = name

    def value(self, score: Tensor, label: Tensor) -> Tensor:
        return torch.logaddexp(score, torch.zeros_like(score)) - label * score

    def slope(self, score: Tensor, label: Tensor) -> Tensor:
        return torch.sigmoid(score) - label

    def curvature(self, score: Tensor, label: Tensor) -> Tensor:
        return torch.sigmoid(score) * torch.sigmoid(-score)

    def link(self, label: Tensor) -> Tensor:
        return torch.logit(label, eps=_CERTAIN)

    def conjugate(self, dual: Tensor, label: Tensor) -> Tensor:
        probability = (dual + label).clamp(0, 1)
        return torch.xlogy(probability, probability) + torch.xlogy(1 - probability, 1 - probability)

    def distance_bound(self, gap: float, weight: float, count: int) -> float:
        """Predictions are probabilities. Pinsker: the Bregman divergence of ℓ is at least 2(p − p*)²."""
        return float((max(gap, 0.0) / (2 * weight * count)) ** 0.5)


class Squared:
    """Half the squared error."""

    name: LossName = "squared"

    def value(self, score: Tensor, label: Tensor) -> Tensor:
        return 0.5 * (score - label) ** 2

    def slope(self, score: Tensor, label: Tensor) -> Tensor:
        return score - label

    def curvature(self, score: Tensor, label: Tensor) -> Tensor:
        return torch.ones_like(score)

    def link(self, label: Tensor) -> Tensor:
        return label

    def conjugate(self, dual: Tensor, label: Tensor) -> Tensor:
        return 0.5 * dual**2 + dual * label

    def distance_bound(self, gap: float, weight: float, count: int) -> float:
        """Predictions are scores. The Bregman divergence of ℓ is (s − s*)²/2."""
        return float((2 * max(gap, 0.0) / (weight * count)) ** 0.5)


def mean_slope(loss: Loss, start: Tensor, score: Tensor, label: Tensor) -> Tensor:
    """The mean of ℓ'(·, y) between a starting score and s, (ℓ(s, y) − ℓ(start, y))/(s − start)."""
    start = start.expand_as(score)
    way = score - start
    near = way.abs() < _NEAR * torch.finfo(score.dtype).eps ** (1 / 3)
    secant = (loss.value(score, label) - loss.value(start, label)) / way.masked_fill(near, 1)
    return torch.where(near, loss.slope(start + way / 2, label), secant)


_LOSSES: dict[LossName, Loss] = {"bce": BinaryCrossEntropy(), "squared": Squared(), "bpr": BinaryCrossEntropy("bpr")}


def loss_of(name: LossName) -> Loss:
    """The loss of a name."""
    return _LOSSES[name]
