"""The objective by torch operators: any pairwise model, any device; the reference that compiled loops are held against.

Axes as in `ifru.objective.protocol`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ifru.interactions.table import Int64, Interactions, ranges
from ifru.objective.losses import Loss
from ifru.objective.protocol import Advance, Coupling, Slopes, Spread
from ifru.objective.score import PairwiseModel

_CHUNK = 1 << 18
"""Interactions at a time: bounds the memory that gathered rows take."""


@dataclass(frozen=True)
class TorchCoupling:
    """`Coupling` of M interactions. user, item [M]: their ends, as places in the support; first, second [M, 1]."""

    model: PairwiseModel
    user: Tensor
    item: Tensor
    ends: tuple[Tensor, Tensor]
    first: Tensor
    second: Tensor

    @property
    def interactions(self) -> int:
        return len(self.user)

    def product(self, x: Tensor) -> Tensor:
        of_user, of_item = self.model.jacobians(*self.ends)
        x_user, x_item = x[self.user], x[self.item]
        bent_user, _ = self.model.curvature(*self.ends, torch.zeros_like(x_user), x_item)
        _, bent_item = self.model.curvature(*self.ends, x_user, torch.zeros_like(x_item))
        from_item, from_user = (of_item * x_item).sum(1, True), (of_user * x_user).sum(1, True)
        out = torch.zeros_like(x)
        out.index_add_(0, self.user, self.second * from_item * of_user + self.first * bent_user)
        return out.index_add_(0, self.item, self.second * from_user * of_item + self.first * bent_item)


class TorchObjective:
    """`Objective` through the model's scores, Jacobians and curvature alone."""

    def __init__(
        self,
        model: PairwiseModel,
        loss: Loss,
        l2: float,
        interactions: Interactions,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self.model, self.loss, self.l2, self.interactions = model, loss, l2, interactions
        self.device, self.dtype = device, dtype
        self.users = interactions.users
        self.rows = interactions.users + interactions.items
        self._user = torch.from_numpy(interactions.user).to(device)
        self._item = torch.from_numpy(interactions.item).to(device) + self.users
        self._label = torch.from_numpy(interactions.label).to(device, dtype)
        weight = np.where(interactions.alive, interactions.weight, np.float32(0))
        self._weight = torch.from_numpy(weight).to(device, dtype)
        self.ridge = self._ridge()

    @property
    def exact_blocks(self) -> bool:
        return self.model.dot_product is not None

    def retire(self, interaction: Int64) -> None:
        table = self.interactions
        self._weight[torch.from_numpy(interaction).to(self.device)] = 0
        users, items = np.unique(table.user[interaction]), np.unique(table.item[interaction])
        rows = np.concatenate([users, items + self.users])
        degree = np.concatenate([table.user_degree[users], table.item_degree[items]])
        self.ridge[torch.from_numpy(rows).to(self.device)] = torch.from_numpy(self.l2 * degree).to(self.ridge)

    def scores(self, theta: Tensor, interaction: Tensor | None = None) -> Tensor:
        return torch.cat(
            [self.model.scores(*self._ends(theta, part)) for part in self._chunks(interaction)] or [theta.new_empty(0)]
        )

    def value(self, theta: Tensor) -> float:
        data = 0.0
        for part in self._chunks(None):
            user, item = self._ends(theta, part)
            score = self.model.scores(user.double(), item.double())
            data += float((self._weight[part] * self.loss.value(score, self._label[part].double())).sum())
        return data + self.penalty(theta)

    def penalty(self, theta: Tensor) -> float:
        """The ridge term of L, in float64."""
        return float((self.ridge.double() * theta.double().square().sum(1)).sum() / 2)

    def slopes(self, theta: Tensor) -> Slopes:
        return self._slopes(self.scores(theta), slice(None))

    def gradient(self, theta: Tensor, slopes: Slopes, rows: Tensor | None = None) -> Tensor:
        out = self.ridge[:, None] * theta
        for part in self._chunks(None if rows is None else self._incident(rows)):
            self._add_pull(out, theta, slopes.first[part], part)
        return out if rows is None else out[rows]

    def product(self, theta: Tensor, slopes: Slopes, x: Tensor) -> Tensor:
        out = self.ridge[:, None] * x
        for part in self._chunks(None):
            user, item = self._user[part], self._item[part]
            ends = theta[user], theta[item]
            of_user, of_item = self.model.jacobians(*ends)
            tangent = (of_user * x[user]).sum(1) + (of_item * x[item]).sum(1)
            curved = (slopes.second[part] * tangent)[:, None]
            slope = slopes.first[part, None]
            bent_user, bent_item = self.model.curvature(*ends, x[user], x[item])
            out.index_add_(0, user, curved * of_user + slope * bent_user)
            out.index_add_(0, item, curved * of_item + slope * bent_item)
        return out

    def across(self, theta: Tensor, slopes: Slopes, x: Tensor, of_users: bool) -> Tensor:
        out = x.new_zeros(self.rows - self.users if of_users else self.users, x.shape[1])
        for part in self._chunks(None):
            ends = self._ends(theta, part)
            mine, far = _facing(of_users, self._user[part], self._item[part] - self.users)
            along = x[mine]
            of_mine, of_far = _facing(of_users, *self.model.jacobians(*ends))
            _, bent = _facing(
                of_users, *self.model.curvature(*ends, *_facing(of_users, along, torch.zeros_like(along)))
            )
            tangent = (of_mine * along).sum(1, True)
            out.index_add_(0, far, slopes.second[part, None] * tangent * of_far + slopes.first[part, None] * bent)
        return out

    def advance(self, theta: Tensor, slopes: Slopes, x: Tensor) -> Advance:
        new, change = theta + x, 0.0
        for part in self._chunks(None):
            before, after = (self.model.scores(*(end.double() for end in self._ends(at, part))) for at in (theta, new))
            label = self._label[part].double()
            rise = self.loss.value(after, label) - self.loss.value(before, label)
            change += float((self._weight[part] * rise).sum())
        along = (x.double() * (theta.double() + new.double())).sum(1)
        change += float((self.ridge.double() * along).sum() / 2)
        fresh = self.slopes(new)
        return Advance(new, fresh, self.gradient(new, fresh), change)

    def blocks(self, theta: Tensor, slopes: Slopes, rows: Tensor) -> Tensor:
        place = self._places(rows)
        out = torch.diag_embed(self.ridge[rows, None].expand(-1, self.model.width)).contiguous()
        for part in self._chunks(self._incident(rows)):
            jacobians = self.model.jacobians(*self._ends(theta, part))
            for jacobian, row in zip(jacobians, (self._user[part], self._item[part]), strict=True):
                inside = place[row] >= 0
                vectors = jacobian[inside]
                scaled = slopes.second[part][inside, None] * vectors
                out.index_add_(0, place[row[inside]], scaled[:, :, None] * vectors[:, None, :])
        return out

    def factors(self, theta: Tensor, slopes: Slopes, of_users: Int64, of_items: Int64) -> Tensor:
        listed = [torch.from_numpy(interaction).to(self.device) for interaction in (of_users, of_items)]
        jacobians = [self.model.jacobians(*self._ends(theta, part))[side] for side, part in enumerate(listed)]
        return slopes.second[torch.cat(listed)].sqrt()[:, None] * torch.cat(jacobians)

    def pull(self, theta: Tensor, slopes: Slopes, interaction: Tensor) -> tuple[Tensor, Tensor]:
        rows = torch.cat([self._user[interaction], self._item[interaction]])
        of_user, of_item = self.model.jacobians(*self._ends(theta, interaction))
        slope = slopes.first[interaction, None]
        parts = torch.cat([slope * of_user, slope * of_item]) + self.l2 * theta[rows]
        unique, place = torch.unique(rows, return_inverse=True)
        return unique, theta.new_zeros(len(unique), theta.shape[1]).index_add_(0, place, parts)

    def coupling(self, theta: Tensor, slopes: Slopes, rows: Tensor) -> Coupling:
        place = self._places(rows)
        interaction = self._incident(rows[rows < self.users])
        user, item = place[self._user[interaction]], place[self._item[interaction]]
        inside = (user >= 0) & (item >= 0) & (self._weight[interaction] != 0)
        interaction, user, item = interaction[inside], user[inside], item[inside]
        ends = theta[rows[user]], theta[rows[item]]
        first, second = slopes.first[interaction, None], slopes.second[interaction, None]
        return TorchCoupling(self.model, user, item, ends, first, second)

    def pull_along(self, theta: Tensor, slopes: Slopes, rows: Tensor, step: Tensor) -> tuple[Tensor, Tensor, int]:
        along, added = torch.zeros_like(theta), torch.zeros_like(theta)
        along[rows] = step
        interaction = self._incident(rows)
        reached = torch.zeros(self.rows, dtype=torch.bool, device=self.device)
        for part in self._chunks(interaction[self._weight[interaction] != 0]):
            user, item = self._user[part], self._item[part]
            ends = theta[user], theta[item]
            of_user, of_item = self.model.jacobians(*ends)
            second, first = slopes.second[part, None], slopes.first[part, None]
            nothing = torch.zeros_like(of_user)
            bent_user, _ = self.model.curvature(*ends, nothing, along[item])
            _, bent_item = self.model.curvature(*ends, along[user], nothing)
            added.index_add_(0, user, second * (of_item * along[item]).sum(1, True) * of_user + first * bent_user)
            added.index_add_(0, item, second * (of_user * along[user]).sum(1, True) * of_item + first * bent_item)
            moved = torch.zeros_like(reached)
            moved[rows] = True
            reached[user[moved[item]]] = reached[item[moved[user]]] = True
        near = reached.nonzero()[:, 0]
        return near, added[near], len(interaction)

    def neighbours(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        interaction = self._incident(rows)
        met = torch.zeros(self.rows, dtype=torch.int64, device=self.device)
        ends = torch.cat([self._user[interaction], self._item[interaction]]).long()
        met.index_add_(0, ends, torch.ones_like(ends))
        near = met > 0
        near[rows] = True
        near = near.nonzero()[:, 0]
        return near, met[near]

    def spread(self, before: Tensor, theta: Tensor, slopes: Slopes, rows: Tensor, debt: Tensor) -> int:
        interaction = self._incident(rows)
        old = theta.clone()
        old[rows] = before
        for part in self._chunks(interaction):
            self._add_pull(debt, old, -slopes.first[part], part)
            fresh = self._slopes(self.model.scores(*self._ends(theta, part)), part)
            slopes.first[part], slopes.second[part] = fresh.first, fresh.second
            self._add_pull(debt, theta, fresh.first, part)
        # A moved row is summed anew: differences of its own large terms would lose digits.
        debt[rows] = self.gradient(theta, slopes, rows)
        return len(interaction)

    def spread_side(
        self, before: Tensor, theta: Tensor, slopes: Slopes, rows: Tensor, debt: Tensor, heavy: float
    ) -> Spread:
        of_users = bool((rows < self.users).all())
        mine, others = (self._user, self._item) if of_users else (self._item, self._user)
        own, gains = self.ridge[rows, None] * theta[rows], self.ridge.new_zeros(len(rows))
        interaction = self._incident(rows)
        interaction = interaction[self._weight[interaction] != 0]
        for part in self._chunks(interaction):
            place, far = torch.searchsorted(rows, mine[part]), others[part]
            _, of_far = self._jacobians(of_users, before[place], theta[far])
            debt.index_add_(0, far, -slopes.first[part, None] * of_far)
            fresh = self._slopes(self.model.scores(*self._ends(theta, part)), part)
            slopes.first[part], slopes.second[part] = fresh.first, fresh.second
            of_mine, of_far = self._jacobians(of_users, theta[rows[place]], theta[far])
            debt.index_add_(0, far, fresh.first[:, None] * of_far)
            own.index_add_(0, place, fresh.first[:, None] * of_mine)
            pull = fresh.first.abs() + fresh.second * of_mine.norm(dim=1) * of_far.norm(dim=1)
            gains.index_add_(0, place, pull.square() / self.ridge[far])
        debt[rows] = own
        if self.model.dot_product is None:
            heavy = math.inf
        gains[self.ridge[rows] < heavy] = math.inf
        reached = torch.unique(others[interaction])
        return Spread(reached, debt[reached].double().square().sum(1) / self.ridge[reached], gains, len(interaction))

    def _ridge(self) -> Tensor:
        degree = np.concatenate([self.interactions.user_degree, self.interactions.item_degree])
        return torch.from_numpy(self.l2 * degree).to(self.device, self.dtype)

    def _chunks(self, interaction: Tensor | None) -> Iterator[Tensor]:
        if interaction is None:
            interaction = torch.arange(len(self._user), device=self.device)
        return iter(torch.split(interaction, _CHUNK))

    def _ends(self, theta: Tensor, interaction: Tensor) -> tuple[Tensor, Tensor]:
        return theta[self._user[interaction]], theta[self._item[interaction]]

    def _slopes(self, score: Tensor, part: Tensor | slice) -> Slopes:
        weight, label = self._weight[part], self._label[part]
        return Slopes(weight * self.loss.slope(score, label), weight * self.loss.curvature(score, label))

    def _jacobians(self, of_users: bool, mine: Tensor, far: Tensor) -> tuple[Tensor, Tensor]:
        """∂s/∂ of the rows of one side, and of those at the far end [n, K]; users are on that side, or items."""
        return _facing(of_users, *self.model.jacobians(*_facing(of_users, mine, far)))

    def _add_pull(self, out: Tensor, theta: Tensor, slope: Tensor, part: Tensor) -> None:
        of_user, of_item = self.model.jacobians(*self._ends(theta, part))
        out.index_add_(0, self._user[part], slope[:, None] * of_user)
        out.index_add_(0, self._item[part], slope[:, None] * of_item)

    def _places(self, rows: Tensor) -> Tensor:
        """[R]: where a row stands in `rows`; -1 where it does not."""
        place = torch.full((self.rows,), -1, device=self.device)
        place[rows] = torch.arange(len(rows), device=self.device)
        return place

    def _incident(self, rows: Tensor) -> Tensor:
        """Positions of the interactions with an end among `rows`, ascending and unique."""
        table, numbers = self.interactions, rows.cpu().numpy()
        users, items = numbers[numbers < self.users], numbers[numbers >= self.users] - self.users
        of_users = ranges(table.user_start[users], table.user_start[users + 1])
        of_items = table.item_rows[ranges(table.item_start[items], table.item_start[items + 1])]
        return torch.from_numpy(np.union1d(of_users, of_items)).to(self.device)


def _facing(of_users: bool, user: Tensor, item: Tensor) -> tuple[Tensor, Tensor]:
    """Users first as seen from the users, items first as seen from the items; the same the other way round."""
    return (user, item) if of_users else (item, user)
