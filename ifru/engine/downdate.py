"""Taking deleted interactions out of inverses that were built with them.

    P = B⁻¹    ⇒    (B − WᵀW − δI)⁻¹    for m deleted interactions with factors W [m, K], and δ = λ·m

The factors go by the Woodbury identity, which leaves P₁. The penalty is of full rank, but X = δP₁ is small, about
m/deg(e) at most: (P₁⁻¹ − δI)⁻¹ = (I − X)⁻¹P₁ = … (I + X⁴)(I + X²)(I + X)P₁, where a factor more doubles the digits.

Axes: S rows, Z deleted interactions of these rows, D the most of one row, K columns of a row.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ifru import block_kernels as kernels
from ifru.factors import Factors

_LEAST_DETERMINANT = 0.1
"""Of I − WPWᵀ. Below it so little of the block is left in some direction that its inverse loses digits."""

_LARGEST_RATIO = 0.25
"""Of ‖X‖, by ‖P‖² ≤ ‖P²‖_F. Above it the factors of the series cost as much as building the block anew."""


def down_date(inverses: Tensor, factors: Factors, penalty: Tensor, error: Tensor) -> Tensor:
    """Take W [Z, K] and δ = penalty [S] out of inverses [S, K, K], in place.

    error [S]: the relative error of each so far; returns what it is now. Infinite: the block has to be built anew.
    """
    compiled = inverses.device.type == "cpu"
    determinant = take_out(inverses, factors) if compiled else take_out_by_torch(inverses, factors)
    sound = determinant >= _LEAST_DETERMINANT
    if not bool(sound.all()):
        inverses[~sound] = 0
    square = torch.bmm(inverses, inverses)
    norm = torch.linalg.vector_norm(square, dim=(1, 2)).sqrt()
    ratio = penalty * norm
    sound &= ratio <= _LARGEST_RATIO
    rounding = 4 * torch.finfo(inverses.dtype).eps
    dropped = _lower(inverses, square, penalty, ratio.clamp(max=_LARGEST_RATIO), rounding)
    # An error E of P puts w·Ew into a determinant, which is as large as E is beside P where ‖w‖²‖P‖ is 1.
    weight = norm.new_zeros(len(norm)).index_add_(0, factors.owner, factors.values.square().sum(1))
    grown = (error + rounding) * (1 + weight * norm) / (determinant * (1 - ratio)).square() + dropped
    return torch.where(sound, grown, torch.inf)


def take_out(inverses: Tensor, factors: Factors) -> Tensor:
    """P [S, K, K] <- (P⁻¹ − WᵀW)⁻¹; returns det(I − WPWᵀ) [S], zero where that is not positive definite."""
    determinant = inverses.new_empty(len(inverses))
    width = inverses.shape[2]
    kernels.take_out(inverses.numpy().reshape(-1, width), factors.values.numpy(), factors.start, determinant.numpy())
    return determinant


def take_out_by_torch(inverses: Tensor, factors: Factors) -> Tensor:
    """`take_out` by torch operators, on factors padded to [S, D, K]."""
    padded = factors.padded(np.arange(len(inverses)))[0]
    solved = padded @ inverses
    left = torch.eye(padded.shape[1], dtype=inverses.dtype, device=inverses.device) - solved @ padded.mT
    lower, failed = torch.linalg.cholesky_ex(left)
    half = torch.linalg.solve_triangular(lower, solved, upper=False)
    inverses += half.mT @ half
    return torch.where(failed == 0, lower.diagonal(dim1=1, dim2=2).prod(1).square(), 0)


def _lower(inverses: Tensor, square: Tensor, penalty: Tensor, ratio: Tensor, tolerance: float) -> Tensor:
    """P [S, K, K] <- (P⁻¹ − δI)⁻¹, where ‖δP‖ ≤ ratio [S]; returns the relative error [S] of ending the series.

    square [S, K, K]: P², which is used up.
    """
    shift = penalty[:, None, None]
    inverses.addcmul_(square, shift)
    power, dropped = square.mul_(shift.square()), ratio.square()
    while bool((dropped > tolerance).any()):
        inverses += torch.bmm(power, inverses)
        dropped = dropped.square()
        if bool((dropped > tolerance).any()):
            power = torch.bmm(power, power)
    return dropped
