"""Any bilinear objective with the scores of chosen pairs rewarded: L(θ) − μ·f, f = Σ_z c_z·s_z over the pairs z.

Scores are s = p·q, or s = p·q + b + c with biases, so the reward adds nothing to the diagonal blocks: what
preconditions L preconditions this too. A row without interactions is zero, and stays so.

Axes as in `ifru.objective.protocol`; M chosen pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self, cast

import torch
from torch import Tensor

from ifru.interactions.table import Int64
from ifru.objective.pairwise import PairwiseObjective
from ifru.objective.propagated import PropagatedObjective
from ifru.objective.protocol import Bipartite, GradientChange, Linearised, Objective


@dataclass(frozen=True)
class ChosenPairs:
    """Pairs, recorded or not, and a weight for the score of each.

    user, item [M] int64: their numbers, each pair once. weight [M] float64: c.
    """

    user: Tensor
    item: Tensor
    weight: Tensor

    def __len__(self) -> int:
        return len(self.user)


def tilted(objective: Objective, pairs: ChosenPairs, reward: float) -> Objective:
    """L(θ) − reward·f. Rows that are passed along a graph are rewarded for the scores that they have afterwards."""
    if isinstance(objective, PropagatedObjective):
        # D is asked for its points alone, and these for no more than `Linearised` has.
        data = cast("PairwiseObjective", TiltedObjective(objective.data, pairs, reward))
        return PropagatedObjective(data, objective.graph, objective.l2, objective.capabilities)
    return TiltedObjective(objective, pairs, reward)


class TiltedObjective:
    """`Objective` of a bilinear one and a reward. Nothing is deleted from it."""

    def __init__(self, objective: Objective, pairs: ChosenPairs, reward: float) -> None:
        self.objective = objective
        self.interactions, self.layout, self.l2 = objective.interactions, objective.layout, objective.l2
        self.capabilities, self.ridge = objective.capabilities, objective.ridge
        self.device, self.dtype = objective.device, objective.dtype
        self.rank, self.users = objective.layout.columns["embedding"], objective.interactions.users
        self.user, self.item = pairs.user.to(self.device), pairs.item.to(self.device) + self.users
        held = torch.from_numpy(objective.interactions.degree > 0).to(self.device)
        self.reward = (reward * pairs.weight).to(self.device, self.dtype)
        self.to_user, self.to_item = ((self.reward * held[end])[:, None] for end in (self.user, self.item))

    def at(self, theta: Tensor) -> TiltedPoint:
        return TiltedPoint(self, self.objective.at(theta))

    def serving(self, theta: Tensor) -> Tensor:
        return self.objective.serving(theta)

    def remove(self, point: Linearised, interactions: Int64) -> GradientChange:
        raise TypeError("a tilted objective is solved on data that stay as they are")

    def relabel(self, interactions: Int64) -> bool:
        raise TypeError("a tilted objective is solved on data that stay as they are")

    def pay(self, out: Tensor, rows: Tensor, constant: float) -> Tensor:
        """Take off out [R, K] what the reward gives to each row: the other rows of its pairs, out of rows [R, K].

        constant: in place of the biases' columns.
        """
        out.index_add_(0, self.user, -self.to_user * self._seen(rows[self.item], constant))
        return out.index_add_(0, self.item, -self.to_item * self._seen(rows[self.user], constant))

    def pay_across(self, out: Tensor, rows: Tensor, of_users: bool) -> Tensor:
        """The same between one side's rows, and out of the other's, to second order."""
        user, item = self.user, self.item - self.users
        mine, far, reward = (user, item, self.to_item) if of_users else (item, user, self.to_user)
        return out.index_add_(0, far, -reward * self._seen(rows[mine], 0.0))

    def rewarded(self, theta: Tensor) -> float:
        """reward·f of θ [R, K], in float64."""
        user, item = theta[self.user].double(), theta[self.item].double()
        score = (user[:, : self.rank] * item[:, : self.rank]).sum(1)
        score += (user[:, self.rank :] + item[:, self.rank :]).sum(1)
        return float((self.reward.double() * score).sum())

    def risen(self, theta: Tensor, step: Tensor) -> float:
        """By how much a step [R, K] raises the reward, to its own digits."""
        middle, along = theta.double() + step.double() / 2, step.double()
        user, item = self.user, self.item
        change = (along[user] * self._seen(middle[item], 1.0)).sum(1)
        change += (along[item] * self._seen(middle[user], 1.0)).sum(1)
        return float((self.reward.double() * change).sum())

    def _seen(self, rows: Tensor, constant: float) -> Tensor:
        """∂s/∂ of a row [M, K], given the rows [M, K] at the other ends."""
        if rows.shape[1] == self.rank:
            return rows
        seen = rows.clone()
        seen[:, self.rank :] = constant
        return seen


class TiltedPoint:
    """`Bipartite` at θ where `base`, the point of L, is so."""

    def __init__(self, objective: TiltedObjective, base: Linearised) -> None:
        self.objective, self.base, self.theta = objective, base, base.theta
        self.gradient = objective.pay(base.gradient.clone(), base.theta, 1.0)

    @property
    def value(self) -> float:
        return self.base.value - self.objective.rewarded(self.theta)

    def linear(self) -> Linearised:
        return self.base.linear()

    def product(self, x: Tensor) -> Tensor:
        return self.objective.pay(self.base.product(x), x, 0.0)

    def cross(self, x: Tensor, of_users: bool) -> Tensor:
        return self.objective.pay_across(cast("Bipartite", self.base).cross(x, of_users), x, of_users)

    def advance(self, x: Tensor) -> tuple[Self, float]:
        base, change = self.base.advance(x)
        return type(self)(self.objective, base), change - self.objective.risen(self.theta, x)

    def blocks(self, rows: Tensor) -> Tensor:
        return self.base.blocks(rows)

    def factors(self, of_users: Int64, of_items: Int64) -> Tensor:
        return self.base.factors(of_users, of_items)
