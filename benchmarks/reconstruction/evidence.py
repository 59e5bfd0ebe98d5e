"""What an attacker makes of what he has: for every row, how the deleted interactions pulled at it.

Deleting interactions z = (u, i) takes Σ (ℓ'(s_z, y_z)·q_i + λ·p_u) out of the gradient of row u, and the same with u
and i exchanged out of that of row i: each deletion marks two rows, in directions that the tables give away.
Axes: R = U + I rows (users first), K columns of a row, N interactions.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.base import CPU
from ifru.interactions import Interactions
from ifru.models import ModelConfig, model_of
from ifru.objective.losses import loss_of


@dataclass(frozen=True)
class Evidence:
    """theta [R, K]: the older version. pull [R, K]: what was pulling at each row.

    exact: whether the pull is known as it was, rather than roughly and up to a factor of the row's own.
    emptied [R]: rows that have lost everything. Their whole row is the pull, and none of it is their own penalty.
    typical: the blocks [K, K] by which a typical user and a typical item resist.
    """

    config: ModelConfig
    users: int
    theta: Tensor
    pull: Tensor
    exact: bool
    emptied: Tensor
    typical: tuple[Tensor, Tensor]


def from_versions(before: Tensor, after: Tensor, users: int, config: ModelConfig) -> Evidence:
    """From two versions' tables [R, K], and nothing else.

    Both are first turned onto each other, so that training from scratch, which may turn all rows, hides nothing. How
    many interactions a row has is not known, so every row is taken to resist as its side does on average.
    """
    before, after = before.double(), after.double()
    left, _, right = torch.linalg.svd(after.T @ before)
    moved = after @ (left @ right) - before
    emptied = (after == 0).all(1) & (before != 0).any(1)
    typical = _typical(before, users, config)
    pull = torch.cat([moved[:users] @ typical[0], moved[users:] @ typical[1]])
    pull = _with_emptied(pull, before, emptied, config)
    return Evidence(config, users, before, pull, exact=False, emptied=emptied, typical=typical)


def from_data(before: Tensor, retained: Interactions, config: ModelConfig) -> Evidence:
    """From a version's table [R, K] and the interactions that a later one retains.

    The gradient of what is retained, at a model that was stationary with the deleted ones, is what these pulled.
    """
    before = before.double()
    objective = model_of(config).objective(retained, CPU, torch.float64)
    pull = -objective.at(before).gradient
    emptied = (objective.ridge == 0) & (before != 0).any(1)
    pull = _with_emptied(pull, before, emptied, config)
    typical = _typical(before, retained.users, config)
    return Evidence(config, retained.users, before, pull, exact=True, emptied=emptied, typical=typical)


def _with_emptied(pull: Tensor, theta: Tensor, emptied: Tensor, config: ModelConfig) -> Tensor:
    """At an optimum the pull of all interactions of a row and their penalty cancel; one interaction is assumed."""
    return torch.where(emptied[:, None], -config.l2 * theta, pull)


def _typical(theta: Tensor, users: int, config: ModelConfig) -> tuple[Tensor, Tensor]:
    """Blocks λI + mean(ℓ'')·mean(v·vᵀ) of the users and of the items, with the other side's rows v."""
    score = theta[:users] @ theta[users:].T
    curvature = loss_of(config.loss).curvature(score, torch.zeros_like(score)).mean()
    penalty = config.l2 * torch.eye(theta.shape[1], dtype=theta.dtype)
    blocks = [penalty + curvature * rows.T @ rows / len(rows) for rows in (theta[users:], theta[:users])]
    return blocks[0], blocks[1]
