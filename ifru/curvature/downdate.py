"""Taking deleted interactions out of inverses that were built with them.

    P = B⁻¹    ⇒    (B − WᵀW − δI)⁻¹    for m deleted interactions with factors W [m, K], and δ = λ·m

The factors go by the Woodbury identity, which leaves P₁. In few interactions one of them can be most of what a block
knows of a direction, the one that its debt then points in. The penalty is of full rank, but X = δP₁ is small, about
m/deg(e) at most, so that it may wait: (P₁⁻¹ − δI)⁻¹ = (I − X)⁻¹P₁ = … (I + X⁴)(I + X²)(I + X)P₁, where a factor more
doubles the digits.

Axes: S rows, Z deleted interactions of these rows, D the most of one row, K columns of a row.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ifru.curvature.factors import Factors
from ifru.interactions.table import Int64
from ifru.kernels import blocks as kernels
from ifru.kernels.dispatch import compiled

_LEAST_DETERMINANT = 0.1
"""Of I − WPWᵀ. Below it so little of the block is left in some direction that its inverse loses digits."""

_LARGEST_RATIO = 0.25
"""Of ‖X‖, by ‖P‖² ≤ ‖P²‖_F. Above it the factors of the series cost as much as building the block anew."""


def take_out(inverses: Tensor, place: Int64, factors: Factors, error: Tensor) -> Tensor:
    """Take W [Z, K] out of inverses place [S] of [C, K, K], in place: the part of an interaction that a step feels.

    error [S]: the relative error of each so far; returns what it is now. Infinite: the block has to be built anew.
    """
    determinant, size = (taken_out if compiled(inverses.device) else taken_out_by_torch)(inverses, place, factors)
    rounding = _rounding(inverses)
    # An error E of P puts w·Ew into a determinant, which is as large as E is beside P where ‖w‖²‖P‖ is 1.
    weight = size.new_zeros(len(size)).index_add_(0, factors.owner, factors.values.square().sum(1))
    grown = (error + rounding) * (1 + weight * size) / determinant.square()
    return torch.where(determinant >= _LEAST_DETERMINANT, grown, torch.inf)


def taken_out(inverses: Tensor, place: Int64, factors: Factors) -> tuple[Tensor, Tensor]:
    """P <- (P⁻¹ − WᵀW)⁻¹ of listed ones; det(I − WPWᵀ) [S], zero where that is not positive definite; ‖P‖_F [S]."""
    determinant, size = inverses.new_empty(len(place)), inverses.new_empty(len(place))
    stack = inverses.numpy().reshape(-1, inverses.shape[2])
    kernels.take_out(stack, place, factors.values.numpy(), factors.start, determinant.numpy(), size.numpy())
    return determinant, size


def taken_out_by_torch(inverses: Tensor, place: Int64, factors: Factors) -> tuple[Tensor, Tensor]:
    """`taken_out` by torch operators, on factors padded to [S, D, K]."""
    listed = torch.from_numpy(place).to(inverses.device)
    some = inverses[listed]
    padded = factors.padded(np.arange(len(some)))[0]
    solved = padded @ some
    left = torch.eye(padded.shape[1], dtype=some.dtype, device=some.device) - solved @ padded.mT
    lower, failed = torch.linalg.cholesky_ex(left)
    half = torch.linalg.solve_triangular(lower, solved, upper=False)
    some += half.mT @ half
    inverses[listed] = some
    determinant = torch.where(failed == 0, lower.diagonal(dim1=1, dim2=2).prod(1).square(), 0)
    return determinant, torch.linalg.vector_norm(some, dim=(1, 2))


def lower_penalty(inverses: Tensor, place: Int64, penalty: Tensor, error: Tensor) -> Tensor:
    """Take δ = penalty [S] out of inverses place [S] of [C, K, K], in place; error [S] as in `take_out`."""
    lowered = penalty_lowered if compiled(inverses.device) else penalty_lowered_by_torch
    ratio, dropped = lowered(inverses, place, penalty)
    sound, ratio = ratio <= _LARGEST_RATIO, ratio.clamp(max=_LARGEST_RATIO)
    return torch.where(sound, (error + _rounding(inverses)) / (1 - ratio).square() + dropped, torch.inf)


def penalty_lowered(inverses: Tensor, place: Int64, penalty: Tensor) -> tuple[Tensor, Tensor]:
    """P <- (P⁻¹ − δI)⁻¹ of listed ones; a bound [S] on ‖δP‖, where it is not too large, and what is left out [S]."""
    ratio, dropped = torch.empty_like(penalty), torch.empty_like(penalty)
    stack, bounds = inverses.numpy().reshape(-1, inverses.shape[2]), (_LARGEST_RATIO, _rounding(inverses))
    kernels.lower_penalty(stack, place, penalty.numpy(), *bounds, ratio.numpy(), dropped.numpy())
    return ratio, dropped


def penalty_lowered_by_torch(inverses: Tensor, place: Int64, penalty: Tensor) -> tuple[Tensor, Tensor]:
    """`penalty_lowered` by torch operators."""
    listed = torch.from_numpy(place).to(inverses.device)
    some, shift = inverses[listed], penalty[:, None, None]
    square = torch.bmm(some, some)
    ratio = penalty * torch.linalg.vector_norm(square, dim=(1, 2)).sqrt()
    sound = ratio <= _LARGEST_RATIO
    rounding, dropped = _rounding(inverses), torch.where(sound, ratio.square(), 0)
    lowered = torch.addcmul(some, square, shift)
    power = square.mul_(shift.square())
    while bool((dropped > rounding).any()):
        lowered += torch.bmm(power, lowered)
        dropped = dropped.square()
        if bool((dropped > rounding).any()):
            power = torch.bmm(power, power)
    inverses[listed] = torch.where(sound[:, None, None], lowered, some)
    return ratio, dropped


def _rounding(inverses: Tensor) -> float:
    return 4 * torch.finfo(inverses.dtype).eps
