"""Where the proof fails for want of rank: the dimension to add.

Axes: N retained interactions, U users, I items.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ifru.losses import Loss
from ifru.proof.norm import SpectralNorm
from ifru.proof.retained import Retained
from ifru.proof.sums import EPS

_STEPS = 50


@dataclass(frozen=True)
class Direction:
    """One more column for each table, user [U] and item [I], and by how much it lowers the objective when appended.

    The pair is the leading singular pair (u, v) as −√τ·D_u^-½ u and √τ·D_i^-½ v, with the best τ.
    """

    user: Tensor
    item: Tensor
    decrease: float


def downhill(
    norm: SpectralNorm, retained: Retained, score: Tensor, loss: Loss, l2: float, objective: float
) -> Direction | None:
    """The direction of a leading singular pair; None where it lowers the objective by no more than rounding."""
    user, item = (
        torch.where(degree > 0, vector / degree.clamp_min(1).sqrt(), 0.0)
        for vector, degree in ((-norm.left, retained.user_degree), (norm.right, retained.item_degree))
    )
    change = user[retained.user] * item[retained.item]
    size, decrease = _best_step(change, retained, score, loss, l2)
    if decrease <= 64 * EPS * objective:
        return None
    return Direction(math.sqrt(size) * user, math.sqrt(size) * item, decrease)


def _best_step(change: Tensor, retained: Retained, score: Tensor, loss: Loss, l2: float) -> tuple[float, float]:
    """The τ that minimises Σ w·ℓ(s + τ·change) + λτ, which is convex, and by how much it lowers it."""
    label, weight = retained.label, retained.weight
    before = loss.value(score, label)

    def value(size: float) -> float:
        return float((weight * (loss.value(score + size * change, label) - before)).sum()) + l2 * size

    size, current = 0.0, 0.0
    for _ in range(_STEPS):
        moved = score + size * change
        slope = float((weight * loss.slope(moved, label) * change).sum()) + l2
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
