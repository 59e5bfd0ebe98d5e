"""A model from outside of the package: its score is bent in each of its two rows, and it is given by its score alone.

s(p, q) = p·q + ½ sin(p·q) − (sharpness/2)·‖p − q‖²
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ifru.interactions import Interactions
from ifru.models import ModelConfig, register
from ifru.objective import Capabilities, Objective
from ifru.objective.losses import loss_of
from ifru.objective.pairwise import PairwiseObjective
from ifru.objective.parameters import Layout, Parameters
from ifru.objective.score import Differentiated


class BentConfig(ModelConfig):
    """sharpness: of the bend."""

    name: Literal["bent"] = "bent"
    sharpness: float = 1.0


@dataclass(frozen=True)
class Bent(Differentiated):
    """Implements `ifru.models.Model`."""

    config: BentConfig

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(bipartite=True, row_local=True)

    @property
    def columns(self) -> Mapping[str, int]:
        return {"embedding": self.config.rank}

    def layout(self, users: int, items: int) -> Layout:
        return Layout({"user": users, "item": items}, self.columns)

    def objective(self, interactions: Interactions, device: torch.device, dtype: torch.dtype) -> Objective:
        return PairwiseObjective(self, loss_of(self.config.loss), self.config.l2, interactions, device, dtype)

    def serving(self, parameters: Parameters, train: Interactions) -> Parameters:
        return parameters

    def score(self, user: Tensor, item: Tensor) -> Tensor:
        dot = user @ item
        return dot + 0.5 * torch.sin(dot) - 0.5 * self.config.sharpness * (user - item).square().sum()


register(BentConfig, Bent)
