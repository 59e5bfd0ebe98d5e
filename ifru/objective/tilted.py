"""A base that is not a stationary point: its own gradient is a constant offset, so that what counts is the debt.

    debt = ∇L(θ; retained) − o        the gradient of L(θ) − o·θ

What was deleted is in the debt and in no offset, and a row without interactions has none (Bae et al. 2022, arXiv
2209.05364). Axes as in `ifru.objective.protocol`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Self, cast

from torch import Tensor

from ifru.interactions.table import Int64
from ifru.objective.protocol import Bipartite, GradientChange, Linearised, Objective


class TiltedObjective:
    """`Objective` L(θ) − o·θ, with o = `offset` [R, K]. It is not row-local and has no proof."""

    def __init__(self, objective: Objective, offset: Tensor) -> None:
        """offset: is taken over; rows without interactions lose theirs."""
        self.objective, self.offset = objective, offset
        self.interactions, self.layout, self.l2 = objective.interactions, objective.layout, objective.l2
        self.device, self.dtype, self.ridge = objective.device, objective.dtype, objective.ridge
        self.capabilities = replace(objective.capabilities, row_local=False, provable=False, unique_target=False)
        self.offset[self.ridge == 0] = 0

    def at(self, theta: Tensor) -> TiltedPoint:
        return TiltedPoint(self, self.objective.at(theta))

    def serving(self, theta: Tensor) -> Tensor:
        return self.objective.serving(theta)

    def remove(self, point: Linearised, interactions: Int64) -> GradientChange:
        if not isinstance(point, TiltedPoint):
            raise TypeError(f"a point of {type(self).__name__} is needed, not {type(point).__name__}")
        change = self.objective.remove(point.plain, interactions)
        self.offset[change.rows[self.ridge[change.rows] == 0]] = 0
        return replace(change, point=TiltedPoint(self, change.point))


class TiltedPoint:
    """`Linearised` at θ. plain: the same without the offset."""

    def __init__(self, objective: TiltedObjective, plain: Linearised) -> None:
        self.objective, self.plain = objective, plain
        self.gradient = plain.gradient - objective.offset

    @property
    def theta(self) -> Tensor:
        return self.plain.theta

    @property
    def value(self) -> float:
        """Of L: a scale, which the offset has no part in."""
        return self.plain.value

    def product(self, x: Tensor) -> Tensor:
        return self.plain.product(x)

    def advance(self, x: Tensor) -> tuple[Self, float]:
        plain, change = self.plain.advance(x)
        change -= float((self.objective.offset.double() * x.double()).sum())
        return type(self)(self.objective, plain), change

    def blocks(self, rows: Tensor) -> Tensor:
        return self.plain.blocks(rows)

    def factors(self, of_users: Int64, of_items: Int64) -> Tensor:
        return self.plain.factors(of_users, of_items)

    def cross(self, x: Tensor, of_users: bool) -> Tensor:
        """As `Bipartite` has it, where the plain point is: an offset has no curvature."""
        return cast("Bipartite", self.plain).cross(x, of_users)
