"""Matrix factorisation: s = p·q, with biases s = p·q + b + c.

Axes: U users, I items, n pairs, K = rank (+ 1 with biases: the last column of a row is its bias).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ifru.interactions import Interactions
from ifru.models.config import ModelConfig
from ifru.models.registry import register
from ifru.objective import Capabilities, Objective
from ifru.objective.bpr_loops import objective_of
from ifru.objective.parameters import Layout, Parameters
from ifru.proof.bilinear import BilinearDuality
from ifru.proof.bpr import BPRDuality
from ifru.proof.duality import Duality


class MFConfig(ModelConfig):
    """bias: whether every user and item has one."""

    name: Literal["mf"] = "mf"
    bias: bool = False


@dataclass(frozen=True)
class MatrixFactorization:
    """The score is bilinear, so each row's Jacobian is the other row, and ∇²s only couples the two."""

    config: MFConfig

    @property
    def capabilities(self) -> Capabilities:
        of_two_rows = self.config.loss != "bpr"
        return Capabilities(
            compiled=True,
            exact_blocks=True,
            bipartite=of_two_rows,
            row_local=of_two_rows,
            provable=True,
            unique_target=True,
        )

    @property
    def columns(self) -> Mapping[str, int]:
        return {"embedding": self.config.rank, "bias": 1} if self.config.bias else {"embedding": self.config.rank}

    def layout(self, users: int, items: int) -> Layout:
        return Layout({"user": users, "item": items}, self.columns)

    def objective(self, interactions: Interactions, device: torch.device, dtype: torch.dtype) -> Objective:
        return objective_of(self, self.config.loss, self.config.l2, interactions, device, dtype)

    def duality(self, interactions: Interactions) -> Duality:
        config = self.config
        if config.loss == "bpr":
            of_scores = BilinearDuality.of(interactions, "squared", config.l2, config.rank, config.bias)
            return BPRDuality.of(interactions, of_scores)
        return BilinearDuality.of(interactions, config.loss, config.l2, config.rank, config.bias)

    def serving(self, parameters: Parameters, train: Interactions) -> Parameters:
        return parameters

    def scores(self, user: Tensor, item: Tensor) -> Tensor:
        score = (user[:, : self.config.rank] * item[:, : self.config.rank]).sum(1)
        return score + user[:, -1] + item[:, -1] if self.config.bias else score

    def all_scores(self, user: Tensor, item: Tensor) -> Tensor:
        score = user[:, : self.config.rank] @ item[:, : self.config.rank].T
        return score + user[:, -1:] + item[:, -1] if self.config.bias else score

    def jacobians(self, user: Tensor, item: Tensor) -> tuple[Tensor, Tensor]:
        return self._seen_from_the_other_side(item, 1.0), self._seen_from_the_other_side(user, 1.0)

    def curvature(self, user: Tensor, item: Tensor, along_user: Tensor, along_item: Tensor) -> tuple[Tensor, Tensor]:
        return self._seen_from_the_other_side(along_item, 0.0), self._seen_from_the_other_side(along_user, 0.0)

    def _seen_from_the_other_side(self, rows: Tensor, constant: float) -> Tensor:
        if not self.config.bias:
            return rows
        return torch.cat([rows[:, : self.config.rank], torch.full_like(rows[:, :1], constant)], dim=1)


register(MFConfig, MatrixFactorization)
