"""DeepFM: a factorisation machine and a perceptron on the same embeddings (Guo et al. 2017, arXiv 1703.04247).

    s = b + Σ_f w_f·x_f + Σ_{f<g} e_f·e_g + MLP(e_1 … e_J)        over fields: the user, the item, each feature column

Axes: n pairs, J fields, E columns of an embedding, Fu and Fi features of a user and of an item. A row is an embedding
and a first-order weight.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from ifru.models.module import ModuleFamilyConfig, ModuleModel
from ifru.models.perceptron import perceptron
from ifru.models.registry import register


class DeepFMConfig(ModuleFamilyConfig):
    """rank: columns of a row, one of them its first-order weight. hidden: widths of the perceptron's hidden layers."""

    name: Literal["deepfm"] = "deepfm"
    rank: Annotated[int, Field(ge=2)] = 17
    hidden: tuple[PositiveInt, ...] = (32, 16)

    @property
    def reads_features(self) -> bool:
        return True

    @property
    def row_columns(self) -> Mapping[str, int]:
        return {"embedding": self.rank - 1, "bias": 1}

    def build(self) -> nn.Module:
        users, items = ([column.width for column in side] for side in (self.user_features, self.item_features))
        return DeepFM(self.rank - 1, users, items, self.hidden)


class Fields(nn.Module):
    """Fields of one side's features. widths: how many numbers each field has."""

    def __init__(self, widths: Sequence[int], embedding: int) -> None:
        super().__init__()
        self.widths = list(widths)
        self.embedding = nn.Parameter(0.1 * torch.randn(sum(widths), embedding))
        self.weight = nn.Parameter(torch.zeros(sum(widths)))

    def forward(self, features: Tensor) -> tuple[Tensor, list[Tensor]]:
        """First-order terms [n], and each field's embeddings [n, E]."""
        each = zip(torch.split(features, self.widths, 1), torch.split(self.embedding, self.widths), strict=True)
        return features @ self.weight, [part @ embedding for part, embedding in each]


class DeepFM(nn.Module):
    """users, items: how many numbers each field of a side's features has."""

    def __init__(self, embedding: int, users: Sequence[int], items: Sequence[int], hidden: Sequence[int]) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))
        self.user_fields = Fields(users, embedding) if users else None
        self.item_fields = Fields(items, embedding) if items else None
        self.mlp = perceptron((2 + len(users) + len(items)) * embedding, hidden, 1)

    def forward(
        self, user: Tensor, item: Tensor, user_features: Tensor | None = None, item_features: Tensor | None = None
    ) -> Tensor:
        score = self.bias + user[:, -1] + item[:, -1]
        embeddings = [user[:, :-1], item[:, :-1]]
        for fields, known in ((self.user_fields, user_features), (self.item_fields, item_features)):
            if fields is not None and known is not None:
                first_order, more = fields(known)
                score, embeddings = score + first_order, embeddings + more
        total, squares = sum(embeddings), sum(each.square() for each in embeddings)
        pairs = (torch.as_tensor(total).square() - squares).sum(1) / 2
        deep: Tensor = self.mlp(torch.cat(embeddings, 1))[:, 0]
        return score + pairs + deep


register(DeepFMConfig, ModuleModel)
