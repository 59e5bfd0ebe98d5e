"""Dimensions that are not in use, and how to leave them out.

Axes: R rows of θ, K columns of a row.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ifru.proof.duality import Duality


def trimmed(duality: Duality, theta: Tensor, spare: float, reserve: int) -> Tensor | None:
    """θ [R, K] without dimensions that are not in use, but for some in reserve; None where nothing is to be left out.

    The dimensions are rotated to the principal axes of D^½θ, which changes no score. Out of use are the last ones, as
    many as have a penalty of at most `spare` together.
    """
    rank, exact = duality.rank, theta.cpu().double()
    dimensions = exact[:, :rank]
    _, values, axes = torch.linalg.svd(duality.penalised.sqrt()[:, None] * dimensions, full_matrices=False)
    penalties = duality.l2 / 2 * values.square()
    kept = int((penalties.flip(0).cumsum(0).flip(0) > spare).sum()) + reserve
    if kept >= rank:
        return None
    return torch.cat([dimensions @ axes[:kept].T, exact[:, rank:]], 1).to(theta)
