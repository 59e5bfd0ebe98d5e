"""Pruning by residual: the touched rows, and the rows that owe most once the touched rows have moved.

Axes: R rows, S rows of a support, T touched rows, V rows that these reach, K columns of a row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ifru.curvature import apply
from ifru.engine.state import State

_BINS_PER_OCTAVE = 4
_OCTAVES = 64
"""Energies per interaction are told apart to a quarter of an octave, and below 2⁻⁶⁴ of the highest not at all."""


@dataclass(frozen=True)
class Support:
    """rows [S], ascending. outside: energy of the debt that the other rows will keep.

    interactions_read: interactions visited in order to choose.
    """

    rows: Tensor
    outside: float
    interactions_read: int


def choose(state: State, touched: Tensor, allowed: float) -> Support:
    """The smallest support, by energy per interaction, whose outside keeps an energy of `allowed` at most.

    Rows [T], ascending, take one block-Newton step; what it adds to the debt of the rows that they reach
    decides.
    """
    objective = state.objective
    inverses = state.cache.inverses(state.theta, state.slopes, touched)
    step = -apply(inverses, state.debt[touched])
    near, added, read = objective.pull_along(state.theta, state.slopes, touched, step)
    # The penalty alone underrates a block; by how much, the touched rows tell, whose blocks are at hand.
    shortfall = _shortfall(objective.ridge[touched], state.debt[touched], step)
    owed = (state.debt[near] + added).square().sum(1) / objective.ridge[near]
    energy = state.energy.clone()
    energy[near] = shortfall * owed.double()
    energy[touched] = 0
    inside = densest(energy, objective.ridge, allowed)
    inside[touched] = True
    return Support(inside.nonzero()[:, 0], float(energy[~inside].sum()), read)


def densest(energy: Tensor, ridge: Tensor, allowed: float) -> Tensor:
    """Mask [R] of the rows of highest energy [R] per interaction, such that the others' is at most `allowed`."""
    density = energy / ridge.clamp(min=torch.finfo(ridge.dtype).tiny)
    highest = float(density.max())
    if highest <= 0 or float(energy.sum()) <= allowed:
        return torch.zeros_like(energy, dtype=torch.bool)
    lowest_bin = _BINS_PER_OCTAVE * _OCTAVES
    below = (_BINS_PER_OCTAVE * (math.log2(highest) - density.log2())).clamp(0, lowest_bin).long()
    held = torch.bincount(below, weights=energy, minlength=lowest_bin + 1)
    outside = held.sum() - held.cumsum(0)
    return (below <= int((outside > allowed).sum())) & (density > 0)


def _shortfall(ridge: Tensor, debt: Tensor, step: Tensor) -> float:
    """Energy of rows by their blocks, over their energy by the penalty alone; 1 where they owe nothing."""
    by_penalty = float((debt.square().sum(1) / ridge).sum())
    return -float((debt * step).sum()) / by_penalty if by_penalty > 0 else 1.0
