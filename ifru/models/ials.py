"""Implicit ALS, or weighted matrix factorisation: s = p·q, fitted to all pairs (Hu, Koren and Volinsky 2008).

    L = ½·w₀·Σ_{u,i} s_ui² + ½·Σ_z [c_z·(y_z − s_z)² − w₀·s_z²] + penalty        c = alpha·weight

With one interaction a pair, label 1, w₀ = 1 and the plain penalty, 2·L is what `AlternatingLeastSquares` of the package
`implicit` minimises; λ is its `regularization`.

Axes: U users, I items, n pairs, K = rank.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import PositiveFloat
from torch import Tensor

from ifru.interactions import Interactions
from ifru.models.config import ModelConfig
from ifru.models.registry import register
from ifru.objective import Capabilities, Objective
from ifru.objective.all_pairs import AllPairsObjective, Weighting
from ifru.objective.parameters import Layout, Parameters
from ifru.proof.all_pairs import AllPairsDuality
from ifru.proof.duality import Duality


class IALSConfig(ModelConfig):
    """alpha: confidence of a recorded interaction of weight 1. unobserved: w₀, that of a pair without interactions.

    penalty: plain is (λ/2)(Σ‖p_u‖² + Σ‖q_i‖²); frequency takes it times a row's interactions, as other models do.
    """

    name: Literal["ials"] = "ials"
    loss: Literal["squared"] = "squared"
    alpha: PositiveFloat = 1.0
    unobserved: PositiveFloat = 1.0
    penalty: Literal["plain", "frequency"] = "plain"


@dataclass(frozen=True)
class ImplicitALS:
    """Each row's best response to the other side is a least-squares solution, whose normal matrix is its own block."""

    config: IALSConfig

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            compiled=True,
            exact_blocks=True,
            own_blocks=False,
            common_blocks=True,
            bipartite=True,
            provable=True,
            unique_target=True,
            positives_only=True,
        )

    @property
    def columns(self) -> Mapping[str, int]:
        return {"embedding": self.config.rank}

    @property
    def weighting(self) -> Weighting:
        """What weighs how much."""
        return Weighting(self.config.alpha, self.config.unobserved, self.config.penalty == "frequency")

    def layout(self, users: int, items: int) -> Layout:
        return Layout({"user": users, "item": items}, self.columns)

    def objective(self, interactions: Interactions, device: torch.device, dtype: torch.dtype) -> Objective:
        return AllPairsObjective(self, self.weighting, self.config.l2, interactions, device, dtype)

    def duality(self, interactions: Interactions) -> Duality:
        return AllPairsDuality.weighted(interactions, self.weighting, self.config.l2, self.config.rank)

    def serving(self, parameters: Parameters, train: Interactions) -> Parameters:
        return parameters

    def scores(self, user: Tensor, item: Tensor) -> Tensor:
        return (user * item).sum(1)

    def all_scores(self, user: Tensor, item: Tensor) -> Tensor:
        return user @ item.T

    def jacobians(self, user: Tensor, item: Tensor) -> tuple[Tensor, Tensor]:
        return item, user

    def curvature(self, user: Tensor, item: Tensor, along_user: Tensor, along_item: Tensor) -> tuple[Tensor, Tensor]:
        return along_item, along_user


register(IALSConfig, ImplicitALS)
