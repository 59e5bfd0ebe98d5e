"""Dual points: lower bounds on the objective that hold for every version on the same data.

    D(α) = −Σ w·ℓ*(α/w) + what the biases add ≤ min L        for every α with σ(α) ≤ λ

Axes: N retained interactions in the order of their table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ifru.objective.losses import LossName
from ifru.proof.duality import Duality
from ifru.proof.errors import ProofError
from ifru.proof.sums import EPS, Sum, total

_GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class Dual:
    """A dual point as data: alpha [N] float64, the loss it belongs to, and the fingerprint of the retained rows.

    It can be stored, and serves every version on exactly these rows, whatever its rank and λ.
    subspace [n, r] float32: where the eigenvectors of the largest eigenvalues are (`Duality.start`). It saves time;
    nothing is taken on trust. rows [R, k] float64: their dot products are α on the pairs without interaction
    (`Duality.rows_elsewhere`); None where it is zero there.
    """

    alpha: Tensor
    subspace: Tensor
    loss: LossName
    data: str
    rows: Tensor | None = None

    def on(self, duality: Duality) -> Tensor:
        """alpha [N]. Raises ProofError where it belongs to other data or another loss, or is damaged."""
        retained, rows = duality.retained, duality.subspace_rows
        if self.loss != duality.loss.name:
            raise ProofError(f"the dual point is for the {self.loss} loss, the model has {duality.loss.name}")
        if len(self.alpha) != len(retained):
            raise ProofError(
                f"the dual point has {len(self.alpha)} interactions, the data retains {len(retained)}; "
                "a dual point serves only the data that it was computed on"
            )
        if self.data != retained.fingerprint():
            raise ProofError(
                f"the dual point was computed on other data (fingerprint {self.data[:12]}, of the retained rows "
                f"{retained.fingerprint()[:12]}); compute one on these"
            )
        alpha = self.alpha.double()
        if not bool(((alpha >= retained.lowest) & (alpha <= retained.highest)).all()):
            raise ProofError("the dual point holds values that no slope of the loss can have; it is damaged")
        if self.subspace.ndim != 2 or len(self.subspace) != rows or not bool(self.subspace.isfinite().all()):
            raise ProofError(f"the dual point's subspace is no finite table of {rows} rows; it is damaged")
        if self.rows is not None and (
            self.rows.ndim != 2 or len(self.rows) != sum(retained.shape) or not bool(self.rows.isfinite().all())
        ):
            raise ProofError(f"the dual point's rows are no finite table of {sum(retained.shape)}; it is damaged")
        return alpha


def dual_value(alpha: Tensor, duality: Duality) -> Sum:
    """D(α), with a bound on its rounding error; α [N] is taken to satisfy the constraint."""
    weight, label = duality.retained.weight, duality.retained.label
    slope = torch.where(weight > 0, alpha / weight, 0.0)
    term = weight * duality.loss.conjugate(slope, label)
    # Near the ends of its range a conjugate is steep, but less so than 40 in float64 (−log of the smallest spacing).
    size = slope.abs() + label.abs()
    return total(-term, 64 * EPS * (term.abs() + weight * size * (1 + size))) + duality.bias_value(alpha)


@dataclass(frozen=True)
class Bound:
    """The lower bounds D(c·α) that one dual point gives. alpha [N]. elsewhere: Σ ℓ*(α) of pairs without interaction."""

    alpha: Tensor
    duality: Duality
    elsewhere: Sum

    @staticmethod
    def of(alpha: Tensor, duality: Duality, rows: Tensor | None) -> Bound:
        """rows: as in `Dual`."""
        return Bound(alpha, duality, Sum(0.0, 0.0) if rows is None else duality.conjugate_elsewhere(rows))

    def at(self, scale: float) -> Sum:
        """D(c·α). Elsewhere losses are squares, and so are their conjugates."""
        return dual_value(scale * self.alpha, self.duality) + self.elsewhere.times(-scale * scale)


def feasible(l2: float, sigma: float) -> float:
    """The largest c ≤ 1 with c·σ ≤ λ, rounding of c and of c·α included."""
    return 1.0 if sigma <= l2 * (1 - 8 * EPS) else l2 / sigma * (1 - 8 * EPS)


def best_scale(value: Callable[[float], float], highest: float) -> float:
    """The c in [0, highest] with the largest value(c), by golden-section search; never worse than `highest`.

    value: concave.
    """
    best = value(highest)
    if best >= value(highest * (1 - 1e-4)):
        return highest
    low, high = 0.0, highest
    inner, outer = highest * (1 - _GOLDEN), highest * _GOLDEN
    of_inner, of_outer = value(inner), value(outer)
    while high - low > 1e-6 * highest:
        if of_inner > of_outer:
            high, outer, of_outer = outer, inner, of_inner
            inner = high - _GOLDEN * (high - low)
            of_inner = value(inner)
        else:
            low, inner, of_inner = inner, outer, of_outer
            outer = low + _GOLDEN * (high - low)
            of_outer = value(outer)
    found, of_found = (inner, of_inner) if of_inner > of_outer else (outer, of_outer)
    return found if of_found > best else highest
