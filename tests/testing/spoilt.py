"""Matrix factorisation with one thing wrong at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Self

import torch
from pydantic import Field
from torch import Tensor

from ifru.interactions import Interactions
from ifru.interactions.table import Int64
from ifru.kernels.dispatch import compiled
from ifru.models import ModelConfig, register
from ifru.models.mf import MatrixFactorization
from ifru.objective import Capabilities, GradientChange, Linearised
from ifru.objective.losses import BinaryCrossEntropy, loss_of
from ifru.objective.pairwise import PairwiseCoupling, PairwiseObjective, PairwisePoint
from ifru.objective.parameters import Layout
from ifru.objective.protocol import Coupling
from ifru.proof import BilinearDuality
from ifru.proof.duality import Duality


class SpoiltConfig(ModelConfig):
    """defect: what is wrong. forgotten: a hyper-parameter that is not written down."""

    name: str = "spoilt"
    bias: bool = False
    defect: str = "none"
    forgotten: int = Field(default=0, exclude=True)


class Spoilt(MatrixFactorization):
    """A model with a defect."""

    def __init__(self, config: SpoiltConfig) -> None:
        super().__init__(config)  # type: ignore[arg-type]
        self.defect = config.defect

    @property
    def capabilities(self) -> Capabilities:
        declared = super().capabilities
        # Without local work nothing but the products of all rows can lower a gradient.
        return replace(declared, row_local=False) if self.defect == "products of another size" else declared

    def objective(self, interactions: Interactions, device: torch.device, dtype: torch.dtype) -> SpoiltObjective:
        l2 = self.config.l2 * (1.1 if self.defect == "another compiled penalty" and compiled(device) else 1)
        return SpoiltObjective(self, loss_of(self.config.loss), l2, interactions, device, dtype)

    def layout(self, users: int, items: int) -> Layout:
        found = super().layout(users, items)
        return replace(found, rows={"user": items, "item": users}) if self.defect == "another layout" else found

    def all_scores(self, user: Tensor, item: Tensor) -> Tensor:
        return super().all_scores(user, item) + (0.1 if self.defect == "another score" else 0)

    def duality(self, interactions: Interactions) -> Duality:
        found = super().duality(interactions)
        assert isinstance(found, BilinearDuality)
        return replace(found, loss=Confident()) if self.defect == "too good a proof" else found


register(SpoiltConfig, Spoilt)


class Confident(BinaryCrossEntropy):
    """Proves more than there is to prove."""

    def distance_bound(self, gap: float, weight: float, count: int) -> float:
        return 0.01 * super().distance_bound(gap, weight, count)


class SpoiltObjective(PairwiseObjective):
    """Of a spoilt model."""

    @property
    def defect(self) -> str:
        assert isinstance(self.score, Spoilt)
        return self.score.defect

    def at(self, theta: Tensor) -> SpoiltPoint:
        return SpoiltPoint(self, theta, *self.derivatives(theta))

    def remove(self, point: Linearised, interactions: Int64) -> GradientChange:
        before = point.gradient.clone()
        change = super().remove(point, interactions)
        match self.defect:
            case "deletions do not count":
                change.point.gradient.copy_(before)
            case "large batches count more":
                self.weight *= 1 + 1e-3 * len(interactions) ** 2
            case "another direct part":
                return replace(change, direct=-change.direct)
            case "deletions move rows":
                change.point.theta.mul_(1.01)
            case "emptied rows stay":
                kept = self.ridge[change.rows] > 0
                return replace(change, rows=change.rows[kept], direct=change.direct[kept])
        return change

    def relabel(self, interactions: Int64) -> bool:
        return self.defect != "labels stay" and super().relabel(interactions)


class SpoiltPoint(PairwisePoint):
    """Of a spoilt objective."""

    objective: SpoiltObjective

    def _times(self, defect: str, factor: float) -> float:
        return factor if self.objective.defect == defect else 1.0

    @property
    def value(self) -> float:
        return super().value * self._times("another value", 1.01)

    def gradient_of(self, rows: Tensor | None) -> Tensor:
        return super().gradient_of(rows) * self._times("another gradient", 1.01)

    def product(self, x: Tensor) -> Tensor:
        factor = self._times("another product", 1.01) * self._times("products of another size", 1e3)
        return super().product(x) * factor

    def advance(self, x: Tensor) -> tuple[Self, float]:
        there, change = super().advance(x)
        return there, change * self._times("another change", 1.01)

    def blocks(self, rows: Tensor) -> Tensor:
        blocks = super().blocks(rows) * self._times("other blocks", 1.01)
        blocks[:, 0, 1] *= self._times("blocks that are not symmetric", 1.01)
        return blocks

    def cross(self, x: Tensor, of_users: bool) -> Tensor:
        return super().cross(x, of_users) * self._times("another cross product", 1.01)

    def factors(self, of_users: Int64, of_items: Int64) -> Tensor:
        return super().factors(of_users, of_items) * self._times("other factors", 1.5)

    def update(self, rows: Tensor, before: Tensor) -> int:
        return 0 if self.objective.defect == "no local gradients" else super().update(rows, before)

    def coupling(self, rows: Tensor) -> Coupling:
        found = super().coupling(rows)
        assert isinstance(found, PairwiseCoupling)
        return replace(found, second=found.second * self._times("another coupling", 1.01))

    def gradient_along(self, rows: Tensor, step: Tensor) -> tuple[Tensor, Tensor, int]:
        near, added, read = super().gradient_along(rows, step)
        return near, added * self._times("another step", 1.01), read
