"""What a model is to everything else in this package: training, engine, versions, proofs and checks know only this.

Axes: U users, I items, n pairs, K columns of a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from ifru.interactions import Interactions
from ifru.models.config import ModelConfig
from ifru.objective import Capabilities, Objective
from ifru.objective.parameters import Layout, Parameters
from ifru.proof.duality import Duality


class Model(Protocol):
    """A model with its hyper-parameters, without its parameters."""

    @property
    def config(self) -> ModelConfig:
        """What it is made from."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it offers beyond this protocol."""
        ...

    @property
    def columns(self) -> Mapping[str, int]:
        """What a row is made of: name -> number of columns."""
        ...

    def layout(self, users: int, items: int) -> Layout:
        """Its parameters, for so many users and items."""
        ...

    def objective(self, interactions: Interactions, device: torch.device, dtype: torch.dtype) -> Objective:
        """What it minimises on some interactions."""
        ...

    def duality(self, interactions: Interactions) -> Duality:
        """What a proof needs of it, on some interactions; asked only of models that declare `provable`.

        Raises ProofError where the interactions' objective is not convex, and where no proof is known.
        """
        ...

    def serving(self, parameters: Parameters, train: Interactions) -> Parameters:
        """The tables whose rows score pairs; the parameters themselves where nothing stands between.

        train: the retained interactions, which a model may pass rows along.
        """
        ...

    def scores(self, user: Tensor, item: Tensor) -> Tensor:
        """s [n] of rows [n, K] of the serving tables."""
        ...

    def all_scores(self, user: Tensor, item: Tensor) -> Tensor:
        """s [n, m] of user rows [n, K] with all item rows [m, K], in a tensor of its own."""
        ...


class WithShared(Model, Protocol):
    """What a model offers whose scores depend on weights besides their rows."""

    def with_shared(self, shared: Mapping[str, Tensor]) -> Model:
        """This model, to score with shared weights: name -> tensor."""
        ...
