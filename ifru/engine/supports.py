"""Pruning: which rows an update moves.

*residual*: the rows that owe most for each of their interactions, now or once the first of them have moved.

*k_hop*: IFRU's importance. Zhang et al., *Recommendation Unlearning via Influence Function* (arXiv 2307.02147), section
on importance-based pruning, and the authors' code. The importance of a row is the share of its interactions that is
deleted, spread along the interactions k times:

    m₀ = removed/degree        m ← D⁻¹ A m        D: row sums of A

A is the adjacency of users and items before the deletion, with one loop at every row. The rows of highest importance
are kept. Their own step rule is not followed: they are solved for as any support is.

Axes: R rows of θ (users first), S rows of a support, T seeds, V rows that these reach, M deleted interactions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ifru.engine.settings import EngineSettings
from ifru.engine.state import State
from ifru.interactions import Interactions
from ifru.interactions.table import Int64
from ifru.kernels import frontier as kernels
from ifru.kernels.dispatch import compiled

_CARRIED = 0.25
"""Share of the allowed decrement that rows out of reach may keep without being looked at."""

_BINS_PER_OCTAVE = 4
_OCTAVES = 64
"""Decrements per interaction are told apart to a quarter of an octave, and below 2⁻⁶⁴ of the highest not at all."""

_TINY = torch.finfo(torch.float64).tiny


@dataclass(frozen=True)
class Support:
    """rows [S], ascending. outside: sum of the squared decrements that the other rows will keep.

    interactions_read: interactions visited in order to choose.
    """

    rows: Tensor
    outside: float
    interactions_read: int


class Supports:
    """Ways to choose the rows of an update on a state."""

    def __init__(self, state: State, settings: EngineSettings) -> None:
        self._state, self._settings = state, settings

    def residual(self, seeds: Tensor, allowed: float) -> Support:
        """The smallest support, by decrement per interaction, whose outside keeps `allowed` at most.

        Of the seeds [T], ascending, those that must move in any case take one block-Newton step, and what it adds to
        the gradient of the rows that they reach decides. The others may all stay behind together: rows of high degree
        and low predicted decrease are skipped.
        """
        state, decrements, ridge = self._state, self._state.decrements, self._state.objective.ridge
        leading = seeds[densest(decrements[seeds], ridge[seeds], allowed)]
        gradient = state.point.gradient
        step = -state.preconditioner(leading).apply(gradient[leading])
        near, added, read = state.local.gradient_along(leading, step)
        known = torch.unique(torch.cat([near, seeds]))
        beyond = state.total_decrement - float(decrements[known].sum())
        if beyond > _CARRIED * allowed:
            known, beyond = state.rows, 0.0
        # The penalty alone underrates a block; by how much, the leading rows tell, whose blocks are at hand.
        shortfall = _shortfall(ridge[leading], gradient[leading], step)
        by_penalty = (gradient[near] + added).square().sum(1) / ridge[near]
        estimate = decrements[known]
        estimate[torch.searchsorted(known, near)] = shortfall * by_penalty.double()
        led = torch.searchsorted(known, leading)
        estimate[led] = 0
        inside = torch.zeros_like(known, dtype=torch.bool)
        inside[densest(estimate, ridge[known], max(allowed - beyond, 0.0))] = True
        inside[led] = True
        return Support(known[inside], beyond + float(estimate[~inside].sum()), read)

    def k_hop(self, deleted: Int64) -> Support:
        """The most important rows around interactions [M]; see `most_important`."""
        state, settings = self._state, self._settings
        chosen = most_important(state.objective.interactions, deleted, settings.k_hop_hops, settings.k_hop_share)
        rows = torch.from_numpy(chosen).to(state.rows.device)
        return Support(rows, max(state.total_decrement - float(state.decrements[rows].sum()), 0.0), 0)


def _shortfall(ridge: Tensor, gradient: Tensor, step: Tensor) -> float:
    """Squared decrements of rows by their blocks, over those by the penalty alone; 1 where the gradient is zero."""
    by_penalty = float((gradient.square().sum(1) / ridge).sum())
    return -float((gradient * step).sum()) / by_penalty if by_penalty > 0 else 1.0


def densest(decrements: Tensor, ridge: Tensor, allowed: float) -> Tensor:
    """Rows, ascending, of highest decrement [S] per interaction, so many that the others keep `allowed` at most.

    decrements [S] in float64; ridge [S], in proportion to the interactions.
    """
    candidates, others = _above(decrements, ridge, allowed)
    some = decrements[candidates]
    allowed -= others
    if len(some) == 0 or float(some.sum()) <= allowed:
        return candidates[:0]
    density = some / ridge[candidates].clamp(min=torch.finfo(ridge.dtype).tiny)
    lowest_bin = _BINS_PER_OCTAVE * _OCTAVES
    below = (_BINS_PER_OCTAVE * (math.log2(float(density.max())) - density.log2())).clamp(0, lowest_bin).long()
    held = torch.bincount(below, weights=some, minlength=lowest_bin + 1)
    outside = held.sum() - held.cumsum(0)
    return candidates[below <= int((outside > allowed).sum())]


def _above(decrements: Tensor, ridge: Tensor, allowed: float) -> tuple[Tensor, float]:
    """Rows, ascending, above the mean decrement per interaction that is allowed, and the sum of all others.

    That sum is less than what is allowed. Most rows are among these, and need no closer look.
    """
    if compiled(decrements.device):
        out = torch.empty(len(decrements), dtype=torch.int64)
        found, others = kernels.above(decrements.numpy(), ridge.numpy(), allowed, out.numpy())
        return out[:found], others
    dense = decrements > allowed / ridge.sum(dtype=torch.float64).clamp(min=_TINY) * ridge
    return dense.nonzero()[:, 0], float(decrements[~dense].sum())


def importance(table: Interactions, deleted: Int64, hops: int) -> NDArray[np.float64]:
    """m [R] after some hops. deleted [M]: positions, retired already, that count as if they were there."""
    rows, far = len(table.degree), table.incidence.far
    removed = np.bincount(np.concatenate([table.user[deleted], far[deleted]]), minlength=rows)
    degree = table.degree + removed + 1
    there = table.alive.copy()
    there[deleted] = True
    mass: NDArray[np.float64] = removed / degree
    for _ in range(hops):
        found = np.unique(table.incidence.of(np.flatnonzero(mass)))
        found = found[there[found]]
        user, item = table.user[found], far[found]
        spread = mass + np.bincount(item, weights=mass[user], minlength=rows)
        spread += np.bincount(user, weights=mass[item], minlength=rows)
        mass = spread / degree
    return mass


def most_important(table: Interactions, deleted: Int64, hops: int, share: float) -> Int64:
    """Rows [S], ascending, of the top share, in (0, 1], of importance among the rows that the hops reach.

    Rows that have no interactions left are not among them. Of equally important rows the first go first.
    """
    mass = importance(table, deleted, hops)
    mass[table.degree == 0] = 0
    reached = np.flatnonzero(mass)
    kept = math.ceil(share * len(reached))
    rows: Int64 = np.sort(reached[np.argsort(-mass[reached], kind="stable")[:kept]])
    return rows
