"""Two towers: s = f(p, user features)·g(q, item features), as retrieval models have them (Yi et al. 2019).

Axes: n pairs, K columns of a row, Fu and Fi features of a user and of an item, E columns of what is multiplied.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from ifru.models.module import ModuleFamilyConfig, ModuleModel
from ifru.models.perceptron import perceptron
from ifru.models.registry import register


class TwoTowerConfig(ModuleFamilyConfig):
    """hidden: widths of each tower's layers, the last of which is E."""

    name: Literal["two-tower"] = "two-tower"
    rank: PositiveInt = 16
    hidden: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (32, 16)

    @property
    def reads_features(self) -> bool:
        return True

    def build(self) -> nn.Module:
        users, items = (
            self.rank + sum(column.width for column in side) for side in (self.user_features, self.item_features)
        )
        return TwoTower(users, items, self.hidden)


class TwoTower(nn.Module):
    """users, items: numbers that go into each tower."""

    def __init__(self, users: int, items: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.user_tower = perceptron(users, hidden[:-1], hidden[-1])
        self.item_tower = perceptron(items, hidden[:-1], hidden[-1])

    def forward(
        self, user: Tensor, item: Tensor, user_features: Tensor | None = None, item_features: Tensor | None = None
    ) -> Tensor:
        of_user = user if user_features is None else torch.cat([user, user_features], 1)
        of_item = item if item_features is None else torch.cat([item, item_features], 1)
        score: Tensor = (self.user_tower(of_user) * self.item_tower(of_item)).sum(1)
        return score


register(TwoTowerConfig, ModuleModel)
