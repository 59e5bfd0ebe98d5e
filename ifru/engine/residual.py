"""Pruning by residual: the touched rows, and the rows that owe most once the touched rows have moved.

Axes: R rows, S rows of a support, K columns of a row.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ifru.curvature import apply
from ifru.engine.cache import CurvatureCache
from ifru.objective import Objective, Slopes


@dataclass(frozen=True)
class Support:
    """rows [S], ascending. outside: energy of the debt that the other rows will keep, at least.

    interactions_read: interactions visited in order to choose.
    """

    rows: Tensor
    outside: float
    interactions_read: int


def choose(
    objective: Objective,
    cache: CurvatureCache,
    theta: Tensor,
    slopes: Slopes,
    debt: Tensor,
    touched: Tensor,
    allowed: float,
) -> Support:
    """The smallest support, by energy per interaction, whose outside keeps an energy of `allowed` at most.

    The touched rows [T], ascending, take one block-Newton step; what it adds to their neighbours' debt decides.
    """
    inverses = cache.inverses(theta, slopes, touched)
    step = -apply(inverses, debt[touched])
    owed = debt.clone()
    read = objective.pull_along(theta, slopes, touched, step, owed)
    energy = owed.square().sum(1) / objective.ridge
    # The penalty alone underrates a block; by how much, the touched rows tell, whose blocks are at hand.
    energy *= _shortfall(objective.ridge[touched], debt[touched], step)
    energy[touched] = 0
    energy[objective.ridge == 0] = 0
    order = torch.argsort(energy / objective.ridge, descending=True, stable=True)
    kept = energy[order].double().cumsum(0)
    outside = (kept[-1] - kept).clamp(min=0)
    count = int((outside > allowed).sum()) + 1 if float(kept[-1]) > allowed else 0
    rows = torch.cat([touched, order[:count]]).sort().values
    return Support(rows, float(outside[count - 1] if count else kept[-1]), read)


def _shortfall(ridge: Tensor, debt: Tensor, step: Tensor) -> float:
    """Energy of rows by their blocks, over their energy by the penalty alone; 1 where they owe nothing."""
    by_penalty = float((debt.square().sum(1) / ridge).sum())
    return -float((debt * step).sum()) / by_penalty if by_penalty > 0 else 1.0
