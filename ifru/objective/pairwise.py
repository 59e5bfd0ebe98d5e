"""Scores of two rows each: the objective by torch operators, on any device, for any such model.

It is the reference that compiled loops are held against. Axes as in `ifru.objective.protocol`; n interactions of a
chunk.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from ifru.errors import IfruError
from ifru.interactions import Interactions
from ifru.interactions.table import Int64
from ifru.objective.losses import Loss
from ifru.objective.parameters import Layout
from ifru.objective.penalty import penalty, penalty_change
from ifru.objective.protocol import Coupling, GradientChange, Linearised, SideUpdate
from ifru.objective.score import PairwiseScore

_CHUNK = 1 << 18
"""Interactions at a time: bounds the memory that gathered rows take."""


class PairwiseObjective:
    """`Objective` of a pairwise score."""

    def __init__(
        self,
        score: PairwiseScore,
        loss: Loss,
        l2: float,
        interactions: Interactions,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        if loss.name == "bpr":
            raise IfruError("the loss bpr is not offered by this model; allowed are bce and squared")
        self.score, self.loss, self.l2, self.interactions = score, loss, l2, interactions
        self.capabilities, self.device, self.dtype = score.capabilities, device, dtype
        self.users = interactions.users
        self.layout = Layout({"user": interactions.users, "item": interactions.items}, score.columns)
        self.rows = interactions.users + interactions.items
        self.user = torch.from_numpy(interactions.user).to(device)
        self.item = torch.from_numpy(interactions.incidence.far[: len(interactions)]).to(device)
        self.label = torch.tensor(interactions.label, device=device, dtype=dtype)
        self.weight = torch.from_numpy(interactions.weight * interactions.alive).to(device, dtype)
        self.ridge = self.ridge_of(interactions.degree)

    def at(self, theta: Tensor) -> PairwisePoint:
        return self.point(theta, *self.derivatives(theta))

    def point(self, theta: Tensor, first: Tensor, second: Tensor, gradient: Tensor | None = None) -> PairwisePoint:
        """A point at θ whose loss derivatives [N] are known, and possibly ∇L [R, K] with them."""
        return PairwisePoint(self, theta, first, second, gradient)

    def serving(self, theta: Tensor) -> Tensor:
        return theta

    def remove(self, point: Linearised, interactions: Int64) -> GradientChange:
        if not isinstance(point, PairwisePoint):
            raise TypeError(f"a point of {type(self).__name__} is needed, not {type(point).__name__}")
        listed = torch.from_numpy(interactions).to(self.device)
        rows, contribution = point.contribution(listed)
        gradient = point.gradient
        emptied = self.delete(interactions)
        point.first[listed] = point.second[listed] = 0
        gradient[rows] -= contribution
        # A row that has nothing left owes nothing: differences of its own large terms would leave their rounding.
        gradient[emptied] = 0
        return GradientChange(rows, -contribution, None, point)

    def relabel(self, interactions: Int64) -> bool:
        listed = torch.from_numpy(interactions).to(self.device)
        self.label[listed] = self.labels_of(interactions).to(self.label)
        return False

    def labels_of(self, interactions: Int64) -> Tensor:
        """What `label` holds of interactions [M]."""
        return torch.from_numpy(self.interactions.label[interactions])

    def value(self, theta: Tensor) -> float:
        """L, summed in float64."""
        data = 0.0
        for part in self.chunks():
            score = self.score.scores(*(end.double() for end in self.ends(theta, part)))
            data += float(self.losses(score, part).sum())
        return data + penalty(self.ridge, theta)

    def scores(self, theta: Tensor, interactions: Tensor | None = None) -> Tensor:
        """s [N], or [M] of listed interactions."""
        parts = [self.score.scores(*self.ends(theta, part)) for part in self.chunks(interactions)]
        return torch.cat(parts or [theta.new_empty(0)])

    def derivatives(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """w·ℓ'(s) and w·ℓ''(s) [N] at θ."""
        return self.loss_derivatives(self.scores(theta), slice(None))

    def loss_derivatives(self, score: Tensor, part: Tensor | slice) -> tuple[Tensor, Tensor]:
        """w·ℓ'(s) and w·ℓ''(s) [n]."""
        weight, label = self.weight[part], self.label[part]
        return weight * self.loss.slope(score, label), weight * self.loss.curvature(score, label)

    def losses(self, score: Tensor, part: Tensor) -> Tensor:
        """w·ℓ(s) [n] of scores in float64."""
        return self.weight[part] * self.loss.value(score, self.label[part].double())

    def ridge_of(self, degree: Int64) -> Tensor:
        """The ridge of rows [S] by the number of their retained interactions."""
        return torch.from_numpy(self.l2 * degree).to(self.device, self.dtype)

    def ends(self, theta: Tensor, part: Tensor) -> tuple[Tensor, Tensor]:
        """User rows and item rows [n, K]."""
        return theta[self.user[part]], theta[self.item[part]]

    def chunks(self, interactions: Tensor | None = None) -> Iterator[Tensor]:
        """Positions [n], of all interactions or of listed ones [M], a chunk at a time."""
        if interactions is None:
            interactions = torch.arange(len(self.user), device=self.device)
        return iter(torch.split(interactions, _CHUNK))

    def incident(self, rows: Tensor, *, deleted: bool = False) -> Tensor:
        """Positions of interactions with an end among rows [S], ascending and unique; of retained ones, or of all."""
        found = torch.from_numpy(np.unique(self.interactions.incidence.of(rows.cpu().numpy()))).to(self.device)
        return found if deleted else found[self.weight[found] != 0]

    def places(self, rows: Tensor) -> Tensor:
        """[R]: where a row stands in `rows` [S]; -1 where it does not."""
        place = torch.full((self.rows,), -1, device=self.device)
        place[rows] = torch.arange(len(rows), device=self.device)
        return place

    def delete(self, interactions: Int64) -> Tensor:
        """Interactions [M], already deleted from the table, count nothing from now on; rows that have none left."""
        table = self.interactions
        self.weight[torch.from_numpy(interactions).to(self.device)] = 0
        rows = np.union1d(table.user[interactions], table.incidence.far[interactions]).astype(np.int64)
        degree = table.degree[rows]
        self.ridge[torch.from_numpy(rows).to(self.device)] = self.ridge_of(degree)
        return torch.from_numpy(rows[degree == 0]).to(self.device)


class PairwisePoint:
    """`RowLocal` at θ. first, second [N]: w·ℓ'(s) and w·ℓ''(s)."""

    def __init__(
        self,
        objective: PairwiseObjective,
        theta: Tensor,
        first: Tensor,
        second: Tensor,
        gradient: Tensor | None = None,
        value: float | None = None,
    ) -> None:
        self.objective, self.theta, self.first, self.second = objective, theta, first, second
        self.gradient = self.gradient_of(None) if gradient is None else gradient
        self._value = value

    @property
    def value(self) -> float:
        if self._value is None:
            self._value = self.objective.value(self.theta)
        return self._value

    def gradient_of(self, rows: Tensor | None) -> Tensor:
        """∇L in rows [S], or in all, summed anew."""
        objective = self.objective
        out = objective.ridge[:, None] * self.theta
        for part in objective.chunks(None if rows is None else objective.incident(rows)):
            self.add_data(out, self.theta, self.first[part], part)
        return out if rows is None else out[rows]

    def linear(self) -> Self:
        return type(self)(self.objective, self.theta, torch.zeros_like(self.first), self.second, self.gradient)

    def product(self, x: Tensor) -> Tensor:
        objective = self.objective
        out = objective.ridge[:, None] * x
        for part in objective.chunks():
            user, item = objective.user[part], objective.item[part]
            ends = self.theta[user], self.theta[item]
            of_user, of_item = objective.score.jacobians(*ends)
            curved = (self.second[part] * ((of_user * x[user]).sum(1) + (of_item * x[item]).sum(1)))[:, None]
            first = self.first[part, None]
            bent_user, bent_item = objective.score.curvature(*ends, x[user], x[item])
            out.index_add_(0, user, curved * of_user + first * bent_user)
            out.index_add_(0, item, curved * of_item + first * bent_item)
        return out

    def advance(self, x: Tensor) -> tuple[Self, float]:
        objective, new, change = self.objective, self.theta + x, 0.0
        for part in objective.chunks():
            before, after = (
                objective.score.scores(*(end.double() for end in objective.ends(at, part))) for at in (self.theta, new)
            )
            change += float((objective.losses(after, part) - objective.losses(before, part)).sum())
        change += penalty_change(objective.ridge, x, self.theta, new)
        there = type(self)(objective, new, *objective.derivatives(new), value=self.value + change)
        return there, change

    def blocks(self, rows: Tensor) -> Tensor:
        objective, place = self.objective, self.objective.places(rows)
        out = torch.diag_embed(objective.ridge[rows, None].expand(-1, self.theta.shape[1])).contiguous()
        for part in objective.chunks(objective.incident(rows)):
            jacobians = objective.score.jacobians(*objective.ends(self.theta, part))
            for jacobian, row in zip(jacobians, (objective.user[part], objective.item[part]), strict=True):
                inside = place[row] >= 0
                vectors = jacobian[inside]
                scaled = self.second[part][inside, None] * vectors
                out.index_add_(0, place[row[inside]], scaled[:, :, None] * vectors[:, None, :])
        return out

    def factors(self, of_users: Int64, of_items: Int64) -> Tensor:
        """√(w·ℓ'')·J [M, K]."""
        objective = self.objective
        listed = [torch.from_numpy(interactions).to(objective.device) for interactions in (of_users, of_items)]
        jacobians = [
            objective.score.jacobians(*objective.ends(self.theta, part))[side] for side, part in enumerate(listed)
        ]
        return self.second[torch.cat(listed)].sqrt()[:, None] * torch.cat(jacobians)

    def contribution(self, interactions: Tensor) -> tuple[Tensor, Tensor]:
        """Rows [T], ascending, and their part [T, K] of ∇L that is due to interactions [M], penalty included."""
        objective = self.objective
        ends = torch.cat([objective.user[interactions], objective.item[interactions]])
        of_user, of_item = objective.score.jacobians(*objective.ends(self.theta, interactions))
        first = self.first[interactions, None]
        parts = torch.cat([first * of_user, first * of_item]) + objective.l2 * self.theta[ends]
        rows, place = torch.unique(ends, return_inverse=True)
        return rows.long(), self.theta.new_zeros(len(rows), self.theta.shape[1]).index_add_(0, place, parts)

    def cross(self, x: Tensor, of_users: bool) -> Tensor:
        objective = self.objective
        out = x.new_zeros(objective.rows - objective.users if of_users else objective.users, x.shape[1])
        for part in objective.chunks():
            ends = objective.ends(self.theta, part)
            mine, far = _mine_first(of_users, objective.user[part], objective.item[part] - objective.users)
            along = x[mine]
            of_mine, of_far = _mine_first(of_users, *objective.score.jacobians(*ends))
            directions = _mine_first(of_users, along, torch.zeros_like(along))
            _, bent = _mine_first(of_users, *objective.score.curvature(*ends, *directions))
            tangent = (of_mine * along).sum(1, True)
            out.index_add_(0, far, self.second[part, None] * tangent * of_far + self.first[part, None] * bent)
        return out

    def coupling(self, rows: Tensor) -> Coupling:
        objective, place = self.objective, self.objective.places(rows)
        incident = objective.incident(rows)
        user, item = place[objective.user[incident]], place[objective.item[incident]]
        # Where blocks are not the Hessian's own, what they lack comes from all interactions of a row.
        kept = (user >= 0) & (item >= 0) if objective.capabilities.exact_blocks else slice(None)
        part = incident[kept]
        ends, derivatives = objective.ends(self.theta, part), (self.first[part, None], self.second[part, None])
        return PairwiseCoupling(objective.score, user[kept], item[kept], ends, *derivatives)

    def gradient_along(self, rows: Tensor, step: Tensor) -> tuple[Tensor, Tensor, int]:
        objective = self.objective
        along, added = torch.zeros_like(self.theta), torch.zeros_like(self.theta)
        along[rows] = step
        moved = torch.zeros(objective.rows, dtype=torch.bool, device=objective.device)
        moved[rows] = True
        reached = torch.zeros_like(moved)
        incident = objective.incident(rows)
        for part in objective.chunks(incident):
            user, item = objective.user[part], objective.item[part]
            ends = self.theta[user], self.theta[item]
            to_user, to_item = _across(objective.score, ends, along[user], along[item], *self._derivatives(part))
            added.index_add_(0, user, to_user)
            added.index_add_(0, item, to_item)
            reached[user[moved[item]]] = reached[item[moved[user]]] = True
        near = reached.nonzero()[:, 0]
        return near, added[near], len(incident)

    def neighbours(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        objective = self.objective
        listed = objective.incident(rows, deleted=True)
        met = torch.zeros(objective.rows, dtype=torch.int64, device=objective.device)
        ends = torch.cat([objective.user[listed], objective.item[listed]]).long()
        met.index_add_(0, ends, torch.ones_like(ends))
        near = met > 0
        near[rows] = True
        found = near.nonzero()[:, 0]
        return found, met[found]

    def update(self, rows: Tensor, before: Tensor) -> int:
        objective, gradient = self.objective, self.gradient
        incident = objective.incident(rows)
        old = self.theta.clone()
        old[rows] = before
        for part in objective.chunks(incident):
            self.add_data(gradient, old, -self.first[part], part)
            self.first[part], self.second[part] = objective.loss_derivatives(objective.scores(self.theta, part), part)
            self.add_data(gradient, self.theta, self.first[part], part)
        # A moved row is summed anew: differences of its own large terms would lose digits.
        gradient[rows] = self.gradient_of(rows)
        return len(incident)

    def update_side(self, rows: Tensor, before: Tensor, heavy: float) -> SideUpdate:
        objective, gradient, theta = self.objective, self.gradient, self.theta
        of_users = bool((rows < objective.users).all())
        mine, others = _mine_first(of_users, objective.user, objective.item)
        own, gains = objective.ridge[rows, None] * theta[rows], objective.ridge.new_zeros(len(rows))
        incident = objective.incident(rows)
        for part in objective.chunks(incident):
            place, far = torch.searchsorted(rows, mine[part]), others[part]
            _, of_far = self._jacobians(of_users, before[place], theta[far])
            gradient.index_add_(0, far, -self.first[part, None] * of_far)
            self.first[part], self.second[part] = objective.loss_derivatives(objective.scores(theta, part), part)
            of_mine, of_far = self._jacobians(of_users, theta[rows[place]], theta[far])
            first = self.first[part]
            gradient.index_add_(0, far, first[:, None] * of_far)
            own.index_add_(0, place, first[:, None] * of_mine)
            size = first.abs() + self.second[part] * of_mine.norm(dim=1) * of_far.norm(dim=1)
            gains.index_add_(0, place, size.square() / objective.ridge[far])
        gradient[rows] = own
        # The bound on the gains is that of a score which is linear in each of its rows.
        measured = heavy if objective.capabilities.exact_blocks else math.inf
        gains[objective.ridge[rows] < measured] = math.inf
        reached = torch.unique(others[incident])
        penalised = gradient[reached].double().square().sum(1) / objective.ridge[reached]
        return SideUpdate(reached.long(), penalised, gains, len(incident))

    def _derivatives(self, part: Tensor) -> tuple[Tensor, Tensor]:
        return self.first[part, None], self.second[part, None]

    def _jacobians(self, of_users: bool, mine: Tensor, far: Tensor) -> tuple[Tensor, Tensor]:
        """∂s/∂ of the rows of one side, and of those at the far end [n, K]."""
        return _mine_first(of_users, *self.objective.score.jacobians(*_mine_first(of_users, mine, far)))

    def add_data(self, out: Tensor, theta: Tensor, first: Tensor, part: Tensor) -> None:
        """Add what interactions [n] give to ∇L, for derivatives first [n] in their scores at theta, to out [R, K]."""
        of_user, of_item = self.objective.score.jacobians(*self.objective.ends(theta, part))
        out.index_add_(0, self.objective.user[part], first[:, None] * of_user)
        out.index_add_(0, self.objective.item[part], first[:, None] * of_item)


@dataclass(frozen=True)
class PairwiseCoupling:
    """`Coupling` of M interactions.

    user, item [M]: their ends, as places in the support, -1 outside. ends [M, K]: rows; first, second [M, 1].
    """

    score: PairwiseScore
    user: Tensor
    item: Tensor
    ends: tuple[Tensor, Tensor]
    first: Tensor
    second: Tensor

    @property
    def interactions(self) -> int:
        return len(self.user)

    def product(self, x: Tensor) -> Tensor:
        # Places outside are those of one more row, of zeros.
        padded = torch.cat([x, x.new_zeros(1, x.shape[1])])
        x_user, x_item = padded[self.user], padded[self.item]
        to_user, to_item = _across(self.score, self.ends, x_user, x_item, self.first, self.second)
        nothing = torch.zeros_like(x_user)
        own_user, _ = self.score.curvature(*self.ends, x_user, nothing)
        _, own_item = self.score.curvature(*self.ends, nothing, x_item)
        out = torch.zeros_like(padded)
        out.index_add_(0, self.user % len(padded), to_user + self.first * own_user)
        out.index_add_(0, self.item % len(padded), to_item + self.first * own_item)
        return out[:-1]


def _across(
    score: PairwiseScore,
    ends: tuple[Tensor, Tensor],
    x_user: Tensor,
    x_item: Tensor,
    first: Tensor,
    second: Tensor,
) -> tuple[Tensor, Tensor]:
    """The off-diagonal Hessian product of interactions with what is at their far ends: to users, to items [n, K]."""
    of_user, of_item = score.jacobians(*ends)
    nothing = torch.zeros_like(x_user)
    bent_user, _ = score.curvature(*ends, nothing, x_item)
    _, bent_item = score.curvature(*ends, x_user, nothing)
    to_user = second * (of_item * x_item).sum(1, True) * of_user + first * bent_user
    to_item = second * (of_user * x_user).sum(1, True) * of_item + first * bent_item
    return to_user, to_item


def _mine_first(of_users: bool, user: Tensor, item: Tensor) -> tuple[Tensor, Tensor]:
    """(user, item) if of_users, else swapped."""
    return (user, item) if of_users else (item, user)
