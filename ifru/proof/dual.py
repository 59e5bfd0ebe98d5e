"""Dual points: lower bounds on the objective that hold for every version on the same data.

    D(α) = −Σ w·ℓ*(α/w)  −  (1/2λ)(Σ_u (Σ_{z∈u} α_z)²/n_u + Σ_i (Σ_{z∈i} α_z)²/n_i)

The second part is that of the biases. Every α with ‖D_u^-½ A D_i^-½‖ ≤ λ has D(α) ≤ min L; A is the U × I matrix of
the α, n_u and n_i are degrees.
Axes: N retained interactions in the order of their table, U users, I items.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ifru.models import ModelConfig, model_of
from ifru.objective.losses import Loss, LossName
from ifru.proof.errors import ProofError
from ifru.proof.retained import Retained
from ifru.proof.sparse import SparseMatrix
from ifru.proof.sums import EPS, Sum, total

_GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class Dual:
    """A dual point as data: alpha [N] float64, the loss it belongs to, and the fingerprint of the retained rows.

    It can be stored, and serves every version on exactly these rows, whatever its rank and λ.
    subspace [min(U, I), r] float32: where the leading singular vectors are. It saves time; nothing is taken on trust.
    """

    alpha: Tensor
    subspace: Tensor
    loss: LossName
    data: str

    def on(self, retained: Retained, config: ModelConfig) -> Tensor:
        """alpha [N]. Raises ProofError where it belongs to other data or another loss, or is damaged."""
        if self.loss != config.loss:
            raise ProofError(f"the dual point is for the {self.loss} loss, the model has {config.loss}")
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
        rows = min(len(retained.user_degree), len(retained.item_degree))
        if self.subspace.ndim != 2 or len(self.subspace) != rows or not bool(self.subspace.isfinite().all()):
            raise ProofError(f"the dual point's subspace is no finite table of {rows} rows; it is damaged")
        return alpha


def scaled_matrix(alpha: Tensor, retained: Retained) -> SparseMatrix:
    """D_u^-½ A D_i^-½ [U, I]; rows and columns without interactions are zero."""
    value = alpha / (retained.user_degree[retained.user] * retained.item_degree[retained.item]).sqrt()
    shape = len(retained.user_degree), len(retained.item_degree)
    return SparseMatrix.of(retained.user, retained.item, value, retained.by_item, shape)


def dual_value(alpha: Tensor, retained: Retained, loss: Loss, config: ModelConfig) -> Sum:
    """D(α), with a bound on its rounding error; α [N] is taken to satisfy the constraint."""
    weight, label = retained.weight, retained.label
    slope = torch.where(weight > 0, alpha / weight, 0.0)
    term = weight * loss.conjugate(slope, label)
    # Near the ends of its range a conjugate is steep, but less so than 40 in float64 (−log of the smallest spacing).
    size = slope.abs() + label.abs()
    value = total(-term, 64 * EPS * (term.abs() + weight * size * (1 + size)))
    if "bias" not in model_of(config).columns:
        return value
    for row, degree in ((retained.user, retained.user_degree), (retained.item, retained.item_degree)):
        value = value + _bias_part(alpha, row, degree, config.l2)
    return value


def _bias_part(alpha: Tensor, row: Tensor, degree: Tensor, l2: float) -> Sum:
    """What the biases of one side can lower the objective by: min_b Σ_z α_z b_row + (λ/2) Σ n b²."""
    pull, moduli = (torch.zeros_like(degree).index_add_(0, row, a) for a in (alpha, alpha.abs()))
    scale = 2 * l2 * degree.clamp_min(1)
    error = EPS * (degree + 4) * moduli * (2 * pull.abs() + EPS * degree * moduli)
    return total(-pull.square() / scale, error / scale)


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
