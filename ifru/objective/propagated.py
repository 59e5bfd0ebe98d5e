"""Scores of rows that are passed along a graph first, Z = Pθ (LightGCN).

    L(θ) = D(Pθ) + (λ/2)·Σ_e n_e‖θ_e‖²        ∇L = P∇D + ridge·θ        ∇²L x = P∇²D(Px) + ridge·x

D is the loss of the retained interactions, as the pairwise objective without penalty has it at Z; n_e counts those of
row e. P is that of `ifru.objective.graph`: deleting an edge changes it, and so the loss of interactions that stay.

Axes as in `ifru.objective.protocol`.
"""

from __future__ import annotations

import math
from typing import Self

import torch
from torch import Tensor

from ifru.interactions.table import Int64
from ifru.objective.bpr import BPRObjective, BPRPoint
from ifru.objective.graph import Graph
from ifru.objective.pairwise import PairwiseObjective, PairwisePoint
from ifru.objective.penalty import penalty, penalty_change
from ifru.objective.protocol import Capabilities, GradientChange, Linearised

_SCATTERED = 2
"""An interaction of listed rows, which lie scattered, costs so many of a pass over all."""

DataPoint = PairwisePoint | BPRPoint
"""A point of D."""


class PropagatedObjective:
    """`Objective` of propagated rows."""

    def __init__(
        self, data: PairwiseObjective | BPRObjective, graph: Graph, l2: float, capabilities: Capabilities
    ) -> None:
        """data: D. graph: of the same interactions."""
        self.data, self.graph, self.l2, self.capabilities = data, graph, l2, capabilities
        self.interactions, self.layout = data.interactions, data.layout
        self.device, self.dtype = data.device, data.dtype
        self.ridge = self._ridge()

    def at(self, theta: Tensor) -> PropagatedPoint:
        return PropagatedPoint(self, theta, self.data.at(self.graph.propagate(theta)))

    def serving(self, theta: Tensor) -> Tensor:
        return self.graph.propagate(theta)

    def remove(self, point: Linearised, interactions: Int64) -> GradientChange:
        """`rows` are all that the deleted terms depended on; `spillover` is None where no edge is deleted.

        What the deletion does not reach is not computed anew.
        """
        if not isinstance(point, PropagatedPoint):
            raise TypeError(f"a point of {type(self).__name__} is needed, not {type(point).__name__}")
        theta, gradient, value, ridge = point.theta, point.gradient, point.value, self.ridge.clone()
        given = self.data.remove(point.data, interactions)
        self.ridge.copy_(self._ridge())
        rows = self.graph.reach(given.rows)
        rows = rows[ridge[rows] > 0]
        terms = torch.zeros_like(theta).index_copy_(0, given.rows, given.direct)
        direct = self.graph.propagate(terms, rows) + (self.ridge - ridge)[rows, None] * theta[rows]
        ends = self.graph.ends(interactions)
        moved = self.graph.reach(ends)
        near = self.graph.reach(torch.unique(torch.cat([given.rows, point.data.neighbours(moved)[0]])))
        self.graph.remove(interactions)
        z = self.graph.propagate(theta, moved)
        staleness = float((z - point.data.theta[moved]).norm() / point.data.theta.norm().clamp(min=1e-30))
        data, before = self._with(point.data, moved, z), gradient[near]
        gradient[near] = self.graph.propagate(data.gradient, near) + self.ridge[near, None] * theta[near]
        after = PropagatedPoint(self, theta, data, gradient, value)
        if len(ends) == 0:
            return GradientChange(rows, direct, None, after, stale=given.stale)
        spillover = torch.zeros_like(theta).index_copy_(0, near, gradient[near] - before)
        spillover.index_add_(0, rows, -direct)
        return GradientChange(rows, direct, spillover, after, staleness, given.stale)

    def relabel(self, interactions: Int64) -> bool:
        """Labels may make edges, and end them."""
        self.data.relabel(interactions)
        return self.graph.relabel()

    def _with(self, data: DataPoint, rows: Tensor, z: Tensor) -> DataPoint:
        """D where rows [S] of Z are z [S, K] instead; `data` is used up."""
        before = data.theta[rows]
        if _SCATTERED * float(self.ridge[rows].sum(dtype=torch.float64)) > self.l2 * self.interactions.retained:
            return data.advance(torch.zeros_like(data.theta).index_copy_(0, rows, z - before))[0]
        data.theta[rows] = z
        data.update(rows, before)
        return data

    def _ridge(self) -> Tensor:
        return torch.from_numpy(self.l2 * self.interactions.degree).to(self.device, self.dtype)


class PropagatedPoint:
    """`Linearised` at θ; data: D at Z = Pθ."""

    def __init__(
        self,
        objective: PropagatedObjective,
        theta: Tensor,
        data: DataPoint,
        gradient: Tensor | None = None,
        value: float | None = None,
    ) -> None:
        self.objective, self.theta, self.data = objective, theta, data
        self.gradient = self._with_penalty(data.gradient, theta) if gradient is None else gradient
        self._value = value

    @property
    def value(self) -> float:
        if self._value is None:
            self._value = self.data.value + penalty(self.objective.ridge, self.theta)
        return self._value

    def linear(self) -> Linearised:
        return PropagatedPoint(self.objective, self.theta, self.data.linear(), self.gradient)

    def product(self, x: Tensor) -> Tensor:
        return self._with_penalty(self.data.product(self.objective.graph.propagate(x)), x)

    def advance(self, x: Tensor) -> tuple[Self, float]:
        data, change = self.data.advance(self.objective.graph.propagate(x))
        theta = self.theta + x
        change += penalty_change(self.objective.ridge, x, self.theta, theta)
        return type(self)(self.objective, theta, data, value=self.value + change), change

    def blocks(self, rows: Tensor) -> Tensor:
        """Those of D at Z times 1/(L + 1), about what a row keeps of itself, plus the penalty.

        The block of ∇²L itself sums what all rows in reach do. Compared were this one, D's block at Z as it is and
        times 1/(L + 1)², and D's block at θ (MovieLens 100K, λ .05 and .02, by Hessian products after a deletion).
        With three layers and λ .05 this one leaves least after 3 and 6 products, with two after 3 and 10; with one
        layer, and with λ .02, none is ahead throughout.
        """
        ridge = self.objective.ridge[rows, None].expand(-1, self.theta.shape[1])
        return self._kept * self.data.blocks(rows) + torch.diag_embed(ridge)

    def factors(self, of_users: Int64, of_items: Int64) -> Tensor:
        return math.sqrt(self._kept) * self.data.factors(of_users, of_items)

    @property
    def _kept(self) -> float:
        return 1 / (self.objective.graph.layers + 1)

    def _with_penalty(self, of_data: Tensor, x: Tensor) -> Tensor:
        """P·of_data + ridge·x."""
        return self.objective.graph.propagate(of_data).addcmul_(self.objective.ridge[:, None], x)
