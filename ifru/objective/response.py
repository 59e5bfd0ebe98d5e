"""Bases that are no stationary points, as other programs leave them: what counts is the response to a deletion.

∇L is not zero there, and ∇²L need not be positive definite, so that to go down from there would be to train on. As for
modules (`ifru.objective.module`), the debt is what deletions have added and updates have not paid off, an update solves

    (Jᵀ diag(w·ℓ'') J + ridge) x = −debt        J = ∂scores/∂θ at the base

once, and leaves the residual of this system as the debt (Bae et al. 2022, arXiv 2209.05364). The base is where the last
deletion found θ. Axes as in `ifru.objective.protocol`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Self, cast

from torch import Tensor

from ifru.interactions.table import Int64
from ifru.objective.protocol import Common, GradientChange, HavingCommon, Linearised, Objective


class ResponseObjective:
    """`Responding`, of an objective whose products are Gauss-Newton's. All that follows from an optimum is gone."""

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self.interactions, self.layout, self.l2 = objective.interactions, objective.layout, objective.l2
        self.device, self.dtype, self.ridge = objective.device, objective.dtype, objective.ridge
        lost = {"row_local": False, "bipartite": False, "provable": False, "unique_target": False}
        self.capabilities = replace(objective.capabilities, response=True, **lost)

    def at(self, theta: Tensor) -> ResponsePoint:
        base = self.objective.at(theta)
        return self._standing(base, base.gradient)

    def owing(self, theta: Tensor, debt: Tensor) -> ResponsePoint:
        return self._standing(self.objective.at(theta), debt)

    def serving(self, theta: Tensor) -> Tensor:
        return self.objective.serving(theta)

    def remove(self, point: Linearised, interactions: Int64) -> GradientChange:
        """What is deleted counts where θ is: the point afterwards is linearised there."""
        if not isinstance(point, ResponsePoint):
            raise TypeError(f"a point of {type(self).__name__} is needed, not {type(point).__name__}")
        change = self.objective.remove(self.objective.at(point.theta), interactions)
        debt = point.gradient.index_add(0, change.rows, change.direct)
        if change.spillover is not None:
            debt += change.spillover
        debt[self.ridge == 0] = 0
        return replace(change, point=self._standing(change.point, debt))

    def relabel(self, interactions: Int64) -> bool:
        return self.objective.relabel(interactions)

    @property
    def factor_counts(self) -> Int64:
        return cast("HavingCommon", self.objective).factor_counts

    def curved(self, interactions: Int64) -> Int64:
        return cast("HavingCommon", self.objective).curved(interactions)

    def _standing(self, base: Linearised, debt: Tensor) -> ResponsePoint:
        return ResponsePoint(self, base, base.linear(), base.theta, debt, base.value)


class ResponsePoint:
    """`Linearised` at θ. base: where the system is made; linear: the same with linear scores; gradient: the debt."""

    def __init__(
        self,
        objective: ResponseObjective,
        base: Linearised,
        linear: Linearised,
        theta: Tensor,
        gradient: Tensor,
        value: float,
    ) -> None:
        self.objective, self.base, self._linear = objective, base, linear
        self.theta, self.gradient, self.value = theta, gradient, value

    def linear(self) -> Self:
        return self

    @property
    def axes(self) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        return cast("Common", self.base).axes

    def product(self, x: Tensor) -> Tensor:
        return self._linear.product(x)

    def advance(self, x: Tensor) -> tuple[Self, float]:
        """Gradient and change are those of the quadratic model: L itself has no say in a response."""
        image = self.product(x)
        change = float((x.double() * (self.gradient.double() + image.double() / 2)).sum())
        system = self.objective, self.base, self._linear
        return type(self)(*system, self.theta + x, self.gradient + image, self.value + change), change

    def blocks(self, rows: Tensor) -> Tensor:
        return self.base.blocks(rows)

    def factors(self, of_users: Int64, of_items: Int64) -> Tensor:
        return self.base.factors(of_users, of_items)
