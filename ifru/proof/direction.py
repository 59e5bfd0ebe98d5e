"""The dimensions to add: where the proof fails for want of rank, and to a model that has none yet.

Axes: N retained interactions, R rows of θ, k dimensions to add.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ifru.proof.duality import Duality, Spectrum, inverse_root
from ifru.proof.sums import EPS

_STEPS = 50
_SETTLED = 1e-4
"""Share of itself that a size changes by in the last step to it: what is left to gain is about the square."""
_INSIDE = 0.5
"""Share of a vector's square from which on it counts as lying in the span of the dimensions."""


@dataclass(frozen=True)
class Direction:
    """More dimensions, columns [R, k], and by how much they lower the objective.

    The eigenvectors v of T whose values are above λ, at most as many as the model has dimensions, as √τ·D^-½ v. The τ
    are in proportion to what the values are above λ, with the best factor: a step along the gradient. Vectors in the
    span of the model's own dimensions are left out: their values are above λ because the parameters are not stationary,
    which training deals with.
    complete: whether no others were found.
    """

    columns: Tensor
    decrease: float
    complete: bool


def downhill(duality: Duality, spectrum: Spectrum, theta: Tensor, score: Tensor, objective: float) -> Direction | None:
    """The direction of the leading eigenvectors; None where it lowers the objective by no more than rounding.

    score [N], objective: at the model's own θ [R, K].
    """
    own = duality.start(theta)
    inside = (torch.linalg.qr(own[:, own.any(0)])[0].T @ spectrum.subspace).square().sum(0)
    outside = inside < _INSIDE
    return _along(duality, spectrum.values[outside], spectrum.vectors[:, outside], theta, score, objective)


def first_direction(duality: Duality, theta: Tensor, random: torch.Generator) -> Direction | None:
    """The direction from a model whose dimensions are all zero, roughly: where nothing is proven, no bound is needed.

    θ [R, K], in float64. None where the objective is no lower for any dimension.
    """
    score, retained = duality.scores(theta).value, duality.retained
    slope = retained.weight * duality.loss.slope(score, retained.label)
    return _along(duality, *duality.leading(slope, duality.rank, random), theta, score, 0.0)


def _along(
    duality: Duality, values: Tensor, vectors: Tensor, theta: Tensor, score: Tensor, objective: float
) -> Direction | None:
    """The direction of those of T's eigenvectors [R, r] whose values [r], descending, are above λ."""
    excess = values - duality.l2
    missing = torch.nonzero(excess > 0)[:, 0]
    chosen = missing[: duality.rank]
    if len(chosen) == 0:
        return None
    columns = inverse_root(duality.penalised) * vectors[:, chosen] * excess[chosen].sqrt()
    linear, quadratic = duality.along_elsewhere(theta[:, : duality.rank], columns)
    linear += duality.l2 / 2 * float(excess[chosen].sum())
    size, decrease = _best_step(duality, duality.along(columns), score, linear, quadratic)
    if decrease <= 64 * EPS * objective:
        return None
    return Direction(size**0.5 * columns, decrease, len(chosen) == len(missing))


def _best_step(duality: Duality, change: Tensor, score: Tensor, linear: float, quadratic: float) -> tuple[float, float]:
    """The t that minimises Σ w·ℓ(s + t·change) + linear·t + quadratic·t², which is convex, and what it gains."""
    loss, label, weight = duality.loss, duality.retained.label, duality.retained.weight
    before = loss.value(score, label)

    def value(size: float) -> float:
        of_data = float((weight * (loss.value(score + size * change, label) - before)).sum())
        return of_data + (linear + quadratic * size) * size

    size, current = 0.0, 0.0
    for _ in range(_STEPS):
        moved = score + size * change
        first = float((weight * loss.slope(moved, label) * change).sum()) + linear + 2 * quadratic * size
        second = float((weight * loss.curvature(moved, label) * change.square()).sum()) + 2 * quadratic
        if second <= 0:
            break
        step = -first / second
        while (trial := value(max(size + step, 0.0))) > current and abs(step) > 1e-9 * size:
            step /= 2
        if trial >= current:
            break
        size, current = max(size + step, 0.0), trial
        if abs(step) < _SETTLED * size:
            break
    return size, -current
