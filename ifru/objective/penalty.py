"""The penalty of rows, and how much a step changes it."""

from __future__ import annotations

from torch import Tensor


def penalty(ridge: Tensor, theta: Tensor) -> float:
    """Σ_e ridge_e·‖θ_e‖²/2, in float64; ridge [R], theta [R, K]."""
    return float((ridge.double() * theta.double().square().sum(1)).sum() / 2)


def penalty_change(ridge: Tensor, step: Tensor, before: Tensor, after: Tensor) -> float:
    """By how much a step [R, K] changes the penalty, to its own digits."""
    along = (step.double() * (before.double() + after.double())).sum(1)
    return float((ridge.double() * along).sum() / 2)
