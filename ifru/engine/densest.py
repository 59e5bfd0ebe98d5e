"""Which rows owe most for each of their interactions: the order in which pruning takes them.

Axes: S rows.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ifru.kernels import frontier as kernels

_BINS_PER_OCTAVE = 4
_OCTAVES = 64
"""Energies per interaction are told apart to a quarter of an octave, and below 2⁻⁶⁴ of the highest not at all."""

_TINY = torch.finfo(torch.float64).tiny


def densest(energy: Tensor, ridge: Tensor, allowed: float) -> Tensor:
    """Rows, ascending, of highest energy [S] per interaction, so many that the others keep `allowed` at most.

    energy [S] in float64; ridge [S], in proportion to the interactions.
    """
    candidates, others = _above(energy, ridge, allowed)
    some = energy[candidates]
    allowed -= others
    if len(some) == 0 or float(some.sum()) <= allowed:
        return candidates[:0]
    density = some / ridge[candidates].clamp(min=torch.finfo(ridge.dtype).tiny)
    lowest_bin = _BINS_PER_OCTAVE * _OCTAVES
    below = (_BINS_PER_OCTAVE * (math.log2(float(density.max())) - density.log2())).clamp(0, lowest_bin).long()
    held = torch.bincount(below, weights=some, minlength=lowest_bin + 1)
    outside = held.sum() - held.cumsum(0)
    return candidates[below <= int((outside > allowed).sum())]


def _above(energy: Tensor, ridge: Tensor, allowed: float) -> tuple[Tensor, float]:
    """Rows, ascending, of more than the mean energy per interaction that is allowed, and the energy of all others.

    That is less than what is allowed. Most rows are among these, and need no closer look.
    """
    if energy.device.type == "cpu":
        out = torch.empty(len(energy), dtype=torch.int64)
        found, others = kernels.above(energy.numpy(), ridge.numpy(), allowed, out.numpy())
        return out[:found], others
    dense = energy > allowed / ridge.sum(dtype=torch.float64).clamp(min=_TINY) * ridge
    return dense.nonzero()[:, 0], float(energy[~dense].sum())
