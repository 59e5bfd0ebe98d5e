"""LightGCN: s = z_u·z_i of rows that are passed along the interactions first (He et al. 2020, arXiv 2002.02126).

Axes: U users, I items, n pairs, K = rank.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from ifru.interactions import Interactions
from ifru.kernels.dispatch import compiled
from ifru.models.config import ModelConfig
from ifru.models.mf import MatrixFactorization, MFConfig
from ifru.models.registry import register
from ifru.objective import Capabilities, Objective
from ifru.objective.bpr_loops import objective_of
from ifru.objective.graph import CompiledGraph, Edges, Graph, edges_of
from ifru.objective.parameters import Layout, Parameters
from ifru.objective.propagated import PropagatedObjective
from ifru.proof.bpr import BPRDuality
from ifru.proof.duality import Duality
from ifru.proof.propagated import PropagatedDuality


class LightGCNConfig(ModelConfig):
    """layers: how many hops a row is passed. graph: which interactions it is passed along."""

    name: Literal["lightgcn"] = "lightgcn"
    layers: Annotated[int, Field(ge=1, le=4)] = 2
    graph: Edges = "positives"


@dataclass(frozen=True)
class LightGCN:
    """The parameters are the rows before they are passed on; those afterwards serve."""

    config: LightGCNConfig

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(compiled=True, provable=True, unique_target=True)

    @property
    def columns(self) -> Mapping[str, int]:
        return {"embedding": self.config.rank}

    def layout(self, users: int, items: int) -> Layout:
        return Layout({"user": users, "item": items}, self.columns)

    def objective(self, interactions: Interactions, device: torch.device, dtype: torch.dtype) -> Objective:
        score = MatrixFactorization(MFConfig(rank=self.config.rank, loss=self.config.loss, l2=self.config.l2))
        data = objective_of(score, self.config.loss, 0.0, interactions, device, dtype)
        graph = self.graph(interactions, device, dtype)
        return PropagatedObjective(data, graph, self.config.l2, self.capabilities)

    def graph(self, interactions: Interactions, device: torch.device, dtype: torch.dtype) -> Graph:
        """What rows are passed along."""
        if compiled(device):
            return CompiledGraph(interactions, self.config.graph, self.config.layers, dtype)
        return Graph(interactions, self.config.graph, self.config.layers, device, dtype)

    def duality(self, interactions: Interactions) -> Duality:
        config, is_edge = self.config, edges_of(interactions, self.config.graph)
        shape = config.l2, config.rank, config.layers, is_edge
        if config.loss == "bpr":
            return BPRDuality.of(interactions, PropagatedDuality.of(interactions, "squared", *shape))
        return PropagatedDuality.of(interactions, config.loss, *shape)

    def serving(self, parameters: Parameters, train: Interactions) -> Parameters:
        user = parameters.user
        z = self.graph(train, user.device, user.dtype).propagate(parameters.stacked())
        return Parameters.unstacked(z, train.users)

    def scores(self, user: Tensor, item: Tensor) -> Tensor:
        return (user * item).sum(1)

    def all_scores(self, user: Tensor, item: Tensor) -> Tensor:
        return user @ item.T


register(LightGCNConfig, LightGCN)
