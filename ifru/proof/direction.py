"""Where the proof fails for want of rank: the dimensions to add.

Axes: N retained interactions, U users, I items, r dimensions to add.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ifru.models import ModelConfig
from ifru.objective.losses import Loss
from ifru.objective.parameters import Parameters
from ifru.proof.norm import SpectralNorm
from ifru.proof.primal import scores
from ifru.proof.retained import Retained
from ifru.proof.sums import EPS

_STEPS = 50
_INSIDE = 0.5
"""Share of a vector's square from which on it counts as lying in the span of the factors."""


@dataclass(frozen=True)
class Direction:
    """More columns for the tables, user [U, r] and item [I, r], and by how much they lower the objective.

    The leading singular pairs (u, v) whose value is above λ, at most as many as the model has dimensions, as
    −√τ·D_u^-½ u and √τ·D_i^-½ v. The τ are in proportion to what the values are above λ, with the best factor: a step
    along the gradient, soft-thresholded at λ. Pairs in the span of the model's factors are left out: their values are
    above λ because the parameters are not stationary, which training deals with.
    """

    user: Tensor
    item: Tensor
    decrease: float


def downhill(
    norm: SpectralNorm,
    factors: Tensor,
    retained: Retained,
    score: Tensor,
    loss: Loss,
    config: ModelConfig,
    objective: float,
) -> Direction | None:
    """The direction of the leading singular pairs; None where it lowers the objective by no more than rounding.

    factors [min(U, I), rank]: D^½ times the table of the shorter side.
    """
    excess = norm.values - config.l2
    inside = (torch.linalg.qr(factors)[0].T @ norm.subspace).square().sum(0)
    chosen = torch.nonzero((excess > 0) & (inside < _INSIDE))[: config.rank, 0]
    if len(chosen) == 0:
        return None
    root = excess[chosen].sqrt()
    user, item = (
        torch.where(degree > 0, 1 / degree.clamp_min(1).sqrt(), 0.0)[:, None] * vectors[:, chosen] * root
        for vectors, degree in ((-norm.left, retained.user_degree), (norm.right, retained.item_degree))
    )
    plain = config.model_copy(update={"rank": len(chosen), "bias": False})
    change = scores(Parameters.of(user, item), retained, plain)
    size, decrease = _best_step(change, retained, score, loss, config.l2 * float(root.square().sum()))
    if decrease <= 64 * EPS * objective:
        return None
    return Direction(size**0.5 * user, size**0.5 * item, decrease)


def _best_step(change: Tensor, retained: Retained, score: Tensor, loss: Loss, price: float) -> tuple[float, float]:
    """The t that minimises Σ w·ℓ(s + t·change) + price·t, which is convex, and by how much it lowers it."""
    label, weight = retained.label, retained.weight
    before = loss.value(score, label)

    def value(size: float) -> float:
        return float((weight * (loss.value(score + size * change, label) - before)).sum()) + price * size

    size, current = 0.0, 0.0
    for _ in range(_STEPS):
        moved = score + size * change
        slope = float((weight * loss.slope(moved, label) * change).sum()) + price
        bend = float((weight * loss.curvature(moved, label) * change.square()).sum())
        if bend <= 0:
            break
        step = -slope / bend
        while (trial := value(max(size + step, 0.0))) > current and abs(step) > 1e-9 * size:
            step /= 2
        if trial >= current:
            break
        size, current = max(size + step, 0.0), trial
    return size, -current
