"""Dot products of rows: the objective by compiled loops, on the CPU.

Axes as in `ifru.objective.protocol`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numba import get_num_threads
from numpy.typing import NDArray
from torch import Tensor

from ifru.interactions import Interactions
from ifru.interactions.table import Int64, ranges
from ifru.kernels import bilinear as kernels
from ifru.kernels import local, push
from ifru.objective.losses import Loss
from ifru.objective.pairwise import PairwiseObjective, PairwisePoint
from ifru.objective.protocol import Coupling, SideUpdate
from ifru.objective.score import PairwiseScore

Floats = NDArray[np.floating]

_LOSS_CODES = {"bce": 0, "squared": 1}

_WORTH = 4096
"""Scattered interactions from which a loop is worth waking the other cores."""

_WORK_PER_ITEM = 16
"""A part of the users has at least so many interactions per item, so that summing the parts up does not cost more."""


class BilinearObjective(PairwiseObjective):
    """`PairwiseObjective` of s = p·q, with biases s = p·q + b + c, whose sums are taken by compiled loops."""

    def __init__(
        self, score: PairwiseScore, loss: Loss, l2: float, interactions: Interactions, dtype: torch.dtype
    ) -> None:
        """score: its columns are an `embedding`, and a `bias` if it has one."""
        super().__init__(score, loss, l2, interactions, torch.device("cpu"), dtype)
        self.form = score.columns["embedding"], "bias" in score.columns
        self.loss_code = _LOSS_CODES[loss.name]
        # What belongs together lies together: a loop over scattered interactions waits for each line of memory.
        self.label, self.weight = torch.stack([self.label, self.weight], 1).unbind(1)
        self.in_order = np.arange(len(interactions))
        self.ends_user = self.user.numpy()
        self.ends_item = self.item.numpy()
        self.far_of_items = self.ends_user[interactions.item_rows]
        self.cuts = _cuts(interactions.user_start, interactions.items)
        width, kind = self.layout.width, self.label.numpy().dtype
        self.parts = np.empty((len(self.cuts) - 1, interactions.items, width), kind)
        # Scratch over all rows, clean between calls: a call then costs what it touches, not the size of the model.
        self.place = np.full(self.rows, -1, dtype=np.int64)
        self.added = np.zeros((self.rows, width), kind)
        self.reached = np.zeros(self.rows, dtype=np.bool_)
        self.met = np.zeros(self.rows, dtype=np.int64)
        self.listed, self.penalised = np.empty(self.rows, dtype=np.int64), np.empty(self.rows)
        self._user_cuts = _even(interactions.user_start, get_num_threads())
        self._item_cuts = _even(interactions.item_start, get_num_threads()) + self.users

    def at(self, theta: Tensor) -> BilinearPoint:
        return BilinearPoint(self, theta, *self.derivatives(theta))

    def derivatives(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        first, second = self.new_derivatives()
        terms = self.label.numpy(), self.weight.numpy(), *self.form, self.loss_code
        kernels.slopes(theta.numpy(), self.ends_user, self.ends_item, *terms, first.numpy(), second.numpy())
        return first, second

    def value(self, theta: Tensor) -> float:
        terms = self.label.numpy(), self.weight.numpy(), *self.form, self.loss_code
        return float(kernels.value(theta.numpy(), self.ends_user, self.ends_item, *terms) + self.penalty(theta))

    def new_derivatives(self) -> tuple[Tensor, Tensor]:
        """Two columns [N] that are not yet set."""
        first, second = torch.empty(len(self.label), 2, dtype=self.dtype).unbind(1)
        return first, second

    def sides(self, rows: Int64) -> list[tuple[slice, tuple[object, ...]]]:
        """The users and the items of ascending rows, each with (first row, start, order, far) of its side."""
        table, border = self.interactions, int(np.searchsorted(rows, self.users))
        return [
            (slice(0, border), (0, table.user_start, self.in_order, self.ends_item)),
            (slice(border, None), (self.users, table.item_start, table.item_rows, self.far_of_items)),
        ]

    def far_cuts(self, rows: Int64, of_users: bool) -> Int64:
        """Far rows [C + 1] at which work on rows [S] of one side is cut into parts: no two cores write to one."""
        table, first = self.interactions, 0 if of_users else self.users
        start = table.user_start if of_users else table.item_start
        cuts = self._item_cuts if of_users else self._user_cuts
        few = int((start[rows - first + 1] - start[rows - first]).sum()) < _WORTH
        return cuts[[0, -1]] if few else cuts


class BilinearPoint(PairwisePoint):
    """`PairwisePoint` by compiled loops."""

    objective: BilinearObjective

    def gradient_of(self, rows: Tensor | None) -> Tensor:
        objective = self.objective
        numbers = np.arange(objective.rows) if rows is None else rows.numpy()
        out = torch.empty((len(numbers), self.theta.shape[1]), dtype=objective.dtype)
        ridge, first = objective.ridge.numpy(), self.first.numpy()
        for mine, side in objective.sides(numbers):
            of_side = out.numpy()[mine]
            kernels.gradient(self.theta.numpy(), numbers[mine], *side, first, ridge, *objective.form, of_side)
        return out

    def product(self, x: Tensor) -> Tensor:
        objective, out = self.objective, torch.empty_like(x)
        kernels.product(
            self.theta.numpy(),
            x.numpy(),
            *self._by_user(),
            objective.ridge.numpy(),
            *objective.form,
            objective.parts,
            out.numpy(),
        )
        return out

    def advance(self, x: Tensor) -> tuple[Self, float]:
        objective = self.objective
        new, gradient = torch.empty_like(x), torch.empty_like(x)
        first, second = objective.new_derivatives()
        change = kernels.advance(
            self.theta.numpy(),
            x.numpy(),
            new.numpy(),
            objective.cuts,
            objective.interactions.user_start,
            objective.ends_item,
            objective.label.numpy(),
            objective.weight.numpy(),
            objective.ridge.numpy(),
            *objective.form,
            objective.loss_code,
            first.numpy(),
            second.numpy(),
            objective.parts,
            gradient.numpy(),
        )
        return type(self)(objective, new, first, second, gradient, self.value + float(change)), float(change)

    def blocks(self, rows: Tensor) -> Tensor:
        objective, numbers, width = self.objective, rows.numpy(), self.theta.shape[1]
        out = torch.empty((len(numbers), width, width), dtype=objective.dtype)
        ridge, second = objective.ridge.numpy(), self.second.numpy()
        for mine, side in objective.sides(numbers):
            of_side = out.numpy()[mine].reshape(-1, width)
            kernels.blocks(self.theta.numpy(), numbers[mine], *side, second, ridge, *objective.form, of_side)
        return out

    def factors(self, of_users: Int64, of_items: Int64) -> Tensor:
        objective, at, second = self.objective, self.theta.numpy(), self.second.numpy()
        out = torch.empty((len(of_users) + len(of_items), self.theta.shape[1]), dtype=objective.dtype)
        local.factors(at, of_users, objective.ends_item, second, *objective.form, out[: len(of_users)].numpy())
        local.factors(at, of_items, objective.ends_user, second, *objective.form, out[len(of_users) :].numpy())
        return out

    def contribution(self, interactions: Tensor) -> tuple[Tensor, Tensor]:
        objective, listed = self.objective, interactions.numpy()
        ends = objective.ends_user, objective.ends_item
        rows = np.unique(np.concatenate([end[listed] for end in ends])).astype(np.int64)
        out = torch.empty((len(rows), self.theta.shape[1]), dtype=objective.dtype)
        objective.place[rows] = np.arange(len(rows))
        tables = *ends, objective.place, self.first.numpy(), objective.l2
        kernels.pull(self.theta.numpy(), listed, *tables, *objective.form, out.numpy())
        objective.place[rows] = -1
        return torch.from_numpy(rows), out

    def cross(self, x: Tensor, of_users: bool) -> Tensor:
        objective = self.objective
        out = x.new_empty(objective.rows - objective.users if of_users else objective.users, x.shape[1])
        mine = self.theta.numpy(), x.numpy(), *self._by_user(), *objective.form
        if of_users:
            kernels.onto_items(*mine, objective.parts, out.numpy())
        else:
            kernels.onto_users(*mine, out.numpy())
        return out

    def coupling(self, rows: Tensor) -> Coupling:
        objective, numbers = self.objective, rows.numpy()
        start = objective.interactions.user_start
        users = numbers[: np.searchsorted(numbers, objective.users)]
        room = int((start[users + 1] - start[users]).sum())
        interactions, far = np.empty(room, dtype=np.int64), np.empty(room, dtype=np.int32)
        bounds = np.empty(len(users) + 1, dtype=np.int64)
        ends = objective.place, start, objective.ends_item
        objective.place[numbers] = np.arange(len(numbers))
        found = local.coupling(users, *ends, objective.weight.numpy(), interactions, far, bounds)
        objective.place[numbers] = -1
        inside = interactions[:found]
        first, second = self.first.numpy()[inside], self.second.numpy()[inside]
        items = len(numbers) - len(users)
        cuts = _cuts(bounds, items)
        parts = np.empty((len(cuts) - 1, items, self.theta.shape[1]), first.dtype)
        theta = self.theta.numpy()[numbers]
        return BilinearCoupling(theta, cuts, bounds, far[:found], first, second, objective.form, parts)

    def gradient_along(self, rows: Tensor, step: Tensor) -> tuple[Tensor, Tensor, int]:
        objective, numbers, read = self.objective, rows.numpy(), 0
        tail = self.first.numpy(), self.second.numpy(), *objective.form, objective.added, objective.reached
        for (mine, side), of_users in zip(objective.sides(numbers), (True, False), strict=True):
            listed = numbers[mine]
            cuts = objective.far_cuts(listed, of_users)
            read += local.pull_along(cuts, self.theta.numpy(), listed, step.numpy()[mine], *side, *tail)
        near = np.flatnonzero(objective.reached)
        added = torch.from_numpy(objective.added[near])
        objective.added[near] = 0
        objective.reached[near] = False
        return torch.from_numpy(near), added, read

    def neighbours(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        objective, numbers = self.objective, rows.numpy()
        objective.reached[numbers] = True
        # An interaction of two listed rows is met from its user.
        objective.place[numbers[: np.searchsorted(numbers, objective.users)]] = 0
        for mine, side in objective.sides(numbers):
            local.meet(numbers[mine], *side, objective.place, objective.met, objective.reached)
        near = np.flatnonzero(objective.reached)
        met = objective.met[near]
        objective.met[near] = 0
        objective.reached[near] = False
        objective.place[numbers] = -1
        return torch.from_numpy(near), torch.from_numpy(met)

    def update(self, rows: Tensor, before: Tensor) -> int:
        objective, numbers, gradient = self.objective, rows.numpy(), self.gradient
        skip = np.zeros(objective.rows, dtype=np.bool_)
        terms = objective.label.numpy(), objective.weight.numpy(), *objective.form, objective.loss_code
        derivatives = self.first.numpy(), self.second.numpy()
        read = 0
        for (mine, side), of_users in zip(objective.sides(numbers), (True, False), strict=True):
            listed = numbers[mine]
            cuts, moved = objective.far_cuts(listed, of_users), (before.numpy()[mine], self.theta.numpy(), listed)
            read += local.spread(cuts, *moved, *side, skip, *terms, *derivatives, gradient.numpy())
            skip[listed] = True
        gradient[rows] = self.gradient_of(rows)
        return read

    def update_side(self, rows: Tensor, before: Tensor, heavy: float) -> SideUpdate:
        objective, numbers, gradient = self.objective, rows.numpy(), self.gradient
        users, items = objective.sides(numbers)
        _, side = users if users[0].stop else items
        tables = (
            before.numpy(),
            self.theta.numpy(),
            numbers,
            *side,
            objective.label.numpy(),
            objective.weight.numpy(),
            objective.ridge.numpy(),
            heavy,
            *objective.form,
            objective.loss_code,
            self.first.numpy(),
            self.second.numpy(),
            gradient.numpy(),
            objective.reached,
        )
        cuts = objective.far_cuts(numbers, users[0].stop > 0)
        parts = len(cuts) - 1
        own = np.empty((parts, len(numbers), self.theta.shape[1]), gradient.numpy().dtype)
        gains, counts = np.empty((parts, len(numbers)), own.dtype), np.empty((parts, 2), dtype=np.int64)
        push.spread_side_many(gains, objective.listed, objective.penalised, own, cuts, counts, *tables)
        gradient[rows] = objective.ridge[rows, None] * self.theta[rows] + torch.from_numpy(own.sum(0))
        begins = cuts[:-1] - cuts[0]
        places = ranges(begins, begins + counts[:, 0])
        reached, penalised = (torch.from_numpy(each[places]) for each in (objective.listed, objective.penalised))
        return SideUpdate(reached, penalised, torch.from_numpy(gains.sum(0)), int(counts[:, 1].sum()))

    def _by_user(self) -> tuple[object, ...]:
        objective = self.objective
        ends = objective.cuts, objective.interactions.user_start, objective.ends_item
        return *ends, self.first.numpy(), self.second.numpy()


@dataclass(frozen=True)
class BilinearCoupling:
    """`Coupling` of M interactions, grouped by the A users among S rows.

    theta [S, K]; bounds [A + 1]; far [M]: the item's place in the support; first, second [M]; cuts, parts: see the
    kernels.
    """

    theta: Floats
    cuts: Int64
    bounds: Int64
    far: NDArray[np.int32]
    first: Floats
    second: Floats
    form: tuple[int, bool]
    parts: Floats

    @property
    def interactions(self) -> int:
        return len(self.far)

    def product(self, x: Tensor) -> Tensor:
        out = torch.empty_like(x)
        mine = self.theta, self.cuts, self.bounds, self.far, self.first, self.second
        local.coupled_product(*mine, x.numpy(), *self.form, self.parts, out.numpy())
        return out


def _cuts(start: Int64, items: int) -> Int64:
    """Users [C + 1] where parts of about as many interactions each begin, and the end; start [U + 1]."""
    total = int(start[-1])
    return _even(start, max(min(get_num_threads(), total // max(_WORK_PER_ITEM * items, 1)), 1))


def _even(start: Int64, parts: int) -> Int64:
    """Rows [C + 1] where C parts of about as many interactions each begin, and the end; start [rows + 1]."""
    shares = np.arange(1, parts) * int(start[-1]) // parts
    return np.concatenate([[0], np.searchsorted(start, shares), [len(start) - 1]]).astype(np.int64)
