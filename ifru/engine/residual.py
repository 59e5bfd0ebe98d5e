"""Pruning by residual: the rows that owe most for each of their interactions, now or once the first of them have moved.

Axes: S rows, T seeds of a support, V rows that these reach, K columns of a row.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ifru.engine.densest import densest
from ifru.engine.state import State

_CARRIED = 0.25
"""Share of the allowed energy that rows out of reach may keep without being looked at."""


@dataclass(frozen=True)
class Support:
    """rows [S], ascending. outside: energy of the debt that the other rows will keep.

    interactions_read: interactions visited in order to choose.
    """

    rows: Tensor
    outside: float
    interactions_read: int


def choose(state: State, seeds: Tensor, allowed: float) -> Support:
    """The smallest support, by energy per interaction, whose outside keeps an energy of `allowed` at most.

    Of the seeds [T], ascending, those that must move in any case take one block-Newton step, and what it adds to the
    debt of the rows that they reach decides. The others may all stay behind together: a popular item owes little for
    each of its interactions, and costs more to look around from than it tells.
    """
    objective, energy = state.objective, state.energy
    leading = seeds[densest(energy[seeds], objective.ridge[seeds], allowed)]
    step = -state.cache.preconditioner(state.theta, state.slopes, leading).apply(state.debt[leading])
    near, added, read = objective.pull_along(state.theta, state.slopes, leading, step)
    known = torch.unique(torch.cat([near, seeds]))
    beyond = state.total_energy - float(energy[known].sum())
    if beyond > _CARRIED * allowed:
        known, beyond = state.rows, 0.0
    # The penalty alone underrates a block; by how much, the leading rows tell, whose blocks are at hand.
    shortfall = _shortfall(objective.ridge[leading], state.debt[leading], step)
    owed = (state.debt[near] + added).square().sum(1) / objective.ridge[near]
    estimate = energy[known]
    estimate[torch.searchsorted(known, near)] = shortfall * owed.double()
    led = torch.searchsorted(known, leading)
    estimate[led] = 0
    inside = torch.zeros_like(known, dtype=torch.bool)
    inside[densest(estimate, objective.ridge[known], max(allowed - beyond, 0.0))] = True
    inside[led] = True
    return Support(known[inside], beyond + float(estimate[~inside].sum()), read)


def _shortfall(ridge: Tensor, debt: Tensor, step: Tensor) -> float:
    """Energy of rows by their blocks, over their energy by the penalty alone; 1 where they owe nothing."""
    by_penalty = float((debt.square().sum(1) / ridge).sum())
    return -float((debt * step).sum()) / by_penalty if by_penalty > 0 else 1.0
