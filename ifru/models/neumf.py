"""NeuMF: generalised matrix factorisation beside a perceptron (He et al. 2017, arXiv 1708.05031).

    s = h·[ p_g ∘ q_g ; φ(p_m, q_m) ] + b        φ: the perceptron up to its last hidden layer

Axes: n pairs, K columns of a row: those of the factorisation, then those of the perceptron.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from ifru.models.module import ModuleFamilyConfig, ModuleModel
from ifru.models.perceptron import perceptron
from ifru.models.registry import register


class NeuMFConfig(ModuleFamilyConfig):
    """rank: columns in all, half of them for each part. hidden: widths of the perceptron's hidden layers."""

    name: Literal["neumf"] = "neumf"
    rank: Annotated[int, Field(ge=2)] = 32
    hidden: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (16, 8)

    @property
    def row_columns(self) -> Mapping[str, int]:
        return {"gmf": self.rank // 2, "mlp": self.rank - self.rank // 2}

    def build(self) -> nn.Module:
        columns = self.row_columns
        return NeuMF(columns["gmf"], columns["mlp"], self.hidden)


class NeuMF(nn.Module):
    """Features are not read."""

    def __init__(self, gmf: int, mlp: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.gmf = gmf
        self.mlp = perceptron(2 * mlp, hidden[:-1], hidden[-1])
        self.out = nn.Linear(gmf + hidden[-1], 1)

    def forward(
        self, user: Tensor, item: Tensor, user_features: Tensor | None = None, item_features: Tensor | None = None
    ) -> Tensor:
        product = user[:, : self.gmf] * item[:, : self.gmf]
        deep = torch.relu(self.mlp(torch.cat([user[:, self.gmf :], item[:, self.gmf :]], 1)))
        score: Tensor = self.out(torch.cat([product, deep], 1))[:, 0]
        return score


register(NeuMFConfig, ModuleModel)
