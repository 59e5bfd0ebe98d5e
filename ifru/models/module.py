"""Scores by a `torch.nn.Module` of a user row, an item row, features of both, and weights that all scores share.

The module's parameters are the shared weights; the rows are ifru's tables:

    forward(user [n, K], item [n, K], user_features [n, Fu] | None, item_features [n, Fi] | None) -> scores [n]

Axes: U users, I items, n pairs, m items, K columns of a row, Fu and Fi features of a user and of an item.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator
from torch import Tensor, nn

from ifru.interactions import Interactions
from ifru.interactions.features import FeatureColumn
from ifru.models.config import ModelConfig
from ifru.models.factory import FACTORY, ModuleError, module_of
from ifru.models.practice import Practice
from ifru.models.registry import register
from ifru.objective import Capabilities, Objective
from ifru.objective.losses import loss_of
from ifru.objective.module import ModuleObjective, Penalty
from ifru.objective.module_score import ModuleScore
from ifru.objective.parameters import Layout, Parameters
from ifru.proof import ProofError
from ifru.proof.duality import Duality

_PAIRS = 1 << 16
"""Pairs that are scored at a time."""


class ModuleFamilyConfig(ModelConfig):
    """What models of this family have in common: each derives from this one, and says what its module is.

    shared: whether shared weights move with an update. shared_l2: coefficient of their penalty (shared_l2/2)‖G‖².
    damping: share of all penalties that an update adds to the curvature. user_features, item_features: how recorded
    columns become Fu and Fi numbers. practice: how it was trained, where that was here.
    """

    loss: Literal["bce", "squared"] = "bce"
    shared: Literal["trained", "frozen"] = "trained"
    shared_l2: PositiveFloat = 1.0
    damping: NonNegativeFloat = 0.5
    user_features: tuple[FeatureColumn, ...] = ()
    item_features: tuple[FeatureColumn, ...] = ()
    practice: Practice | None = None

    @property
    def encodings(self) -> Mapping[str, tuple[FeatureColumn, ...]]:
        sides = {"user": self.user_features, "item": self.item_features}
        return {side: encoding for side, encoding in sides.items() if encoding}

    @property
    def row_columns(self) -> Mapping[str, int]:
        """What a row is made of: name -> number of columns, `rank` in all."""
        return {"embedding": self.rank}

    @property
    def weights(self) -> Mapping[str, tuple[int, ...]] | None:
        """Shapes of the shared weights; None where only the module knows."""
        return None

    @property
    def title(self) -> str:
        """What errors call the module."""
        return f"the module of {self.name}"

    def build(self) -> nn.Module:
        """The module, with weights as training starts from them. Raises ModuleError."""
        raise NotImplementedError


class ModuleConfig(ModuleFamilyConfig):
    """The user's own module. factory: `package.module:factory`. columns: what a row is made of.

    parameters: names and shapes of the module's parameters, which `described` fills in.
    """

    name: Literal["module"] = "module"
    factory: Annotated[str, Field(pattern=FACTORY)]
    columns: dict[str, PositiveInt]
    parameters: dict[str, tuple[PositiveInt, ...]] | None = None

    @model_validator(mode="before")
    @classmethod
    def _rank(cls, given: Any) -> Any:
        if isinstance(given, dict) and isinstance(given.get("columns"), dict) and "rank" not in given:
            counts = given["columns"].values()
            return given | {"rank": sum(counts) if all(isinstance(count, int) for count in counts) else 0}
        return given

    @model_validator(mode="after")
    def _complete(self) -> ModuleConfig:
        if self.rank != sum(self.columns.values()):
            raise ValueError(f"columns are {self.columns}, and rank is {self.rank}; rank is their sum")
        return self

    def __hash__(self) -> int:
        return hash(self.model_dump_json())

    @property
    def reads_features(self) -> bool:
        return True

    @property
    def row_columns(self) -> Mapping[str, int]:
        return self.columns

    @property
    def weights(self) -> Mapping[str, tuple[int, ...]] | None:
        return self.parameters

    @property
    def title(self) -> str:
        return f"the module {self.factory!r}"

    def build(self) -> nn.Module:
        return module_of(self.factory)

    def described(self) -> ModuleConfig:
        """With the shapes of the module's parameters, so that versions can be read without it. Raises ModuleError."""
        return self.model_copy(update={"parameters": shapes_of(self.build())})


@dataclass(frozen=True)
class ModuleModel:
    """No proof is known, and retraining has no unique outcome. shared: weights to score with, where they are known."""

    config: ModuleFamilyConfig
    shared: Mapping[str, Tensor] | None = None

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(response=True)

    @property
    def columns(self) -> Mapping[str, int]:
        return self.config.row_columns

    @cached_property
    def module(self) -> nn.Module:
        """Built by the factory, and held against the configuration. Raises ModuleError."""
        # Weights are drawn for it that nobody reads.
        with torch.random.fork_rng([]):
            module, expected = self.config.build(), self.config.weights
        if expected is not None and (found := shapes_of(module)) != dict(expected):
            raise ModuleError(
                f"{self.config.title} has the parameters {found}, but the version was made with {dict(expected)}; "
                "configure the factory that it was made with"
            )
        return module

    def layout(self, users: int, items: int) -> Layout:
        weights = self.config.weights
        shapes = shapes_of(self.module) if weights is None else dict(weights)
        return Layout({"user": users, "item": items}, self.columns, shapes)

    def objective(self, interactions: Interactions, device: torch.device, dtype: torch.dtype) -> Objective:
        config = self.config
        layout = self.layout(interactions.users, interactions.items)
        score = ModuleScore.of(self.module, config.title, device, dtype)
        shared_l2 = config.shared_l2 if config.shared == "trained" else 0.0
        penalty = Penalty(config.l2, shared_l2, config.damping)
        return ModuleObjective(score, layout, loss_of(config.loss), penalty, interactions, device, dtype)

    def duality(self, interactions: Interactions) -> Duality:
        raise ProofError(f"no proof is known for models of the kind {self.config.name!r}")

    def serving(self, parameters: Parameters, train: Interactions) -> Parameters:
        """The parameters; where users or items have features, with these as further columns."""
        if not train.features:
            return parameters
        tables = {
            name: table
            if (known := train.features.get(name)) is None
            else torch.cat([table, torch.from_numpy(known).to(table)], 1)
            for name, table in parameters.tables.items()
        }
        return Parameters(tables, parameters.shared)

    def with_shared(self, shared: Mapping[str, Tensor]) -> ModuleModel:
        """This model, to score with these shared weights."""
        return replace(self, shared=shared)

    def scores(self, user: Tensor, item: Tensor) -> Tensor:
        shared = dict(self.module.named_parameters()) if self.shared is None else self.shared
        score = ModuleScore.of(self.module, self.config.title, user.device, user.dtype)
        width = self.config.rank
        parts = []
        # Who scores rows that autograd follows asks for derivatives; nobody else pays for them.
        with torch.set_grad_enabled(user.requires_grad):
            for start in range(0, len(user), _PAIRS):
                users, items = user[start : start + _PAIRS], item[start : start + _PAIRS]
                features = (each[:, width:] if each.shape[1] > width else None for each in (users, items))
                parts.append(score(users[:, :width], items[:, :width], shared, *features))
        return torch.cat(parts or [user.new_empty(0)])

    def all_scores(self, user: Tensor, item: Tensor) -> Tensor:
        out = user.new_empty(len(user), len(item))
        some = max(_PAIRS // max(len(item), 1), 1)
        for start in range(0, len(user), some):
            users = user[start : start + some]
            pairs = users.repeat_interleave(len(item), 0), item.repeat(len(users), 1)
            out[start : start + some] = self.scores(*pairs).view(len(users), len(item))
        return out


def shapes_of(module: nn.Module) -> dict[str, tuple[int, ...]]:
    """Of its parameters, by name."""
    return {name: tuple(parameter.shape) for name, parameter in module.named_parameters()}


register(ModuleConfig, ModuleModel)
