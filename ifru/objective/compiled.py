"""The objective by compiled loops: models whose score is a dot product of rows, on the CPU.

Axes as in `ifru.objective.protocol`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numba import get_num_threads
from numpy.typing import NDArray
from torch import Tensor

from ifru.interactions.table import Int64, Interactions, ranges
from ifru.kernels import bilinear as kernels
from ifru.kernels import local as support_kernels
from ifru.kernels import push as push_kernels
from ifru.objective.losses import Loss
from ifru.objective.protocol import Advance, Coupling, Slopes, Spread
from ifru.objective.score import PairwiseModel
from ifru.objective.torch_path import TorchObjective

Floats = NDArray[np.floating]

_LOSS_CODES = {"bce": 0, "squared": 1}

_WORTH = 4096
"""Scattered interactions from which a loop is worth waking the other cores."""

_WORK_PER_ITEM = 16
"""A part of the users has at least so many interactions per item, so that summing the parts up does not cost more."""


@dataclass(frozen=True)
class CompiledCoupling:
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
        support_kernels.coupled_product(*mine, x.numpy(), *self.form, self.parts, out.numpy())
        return out


class CompiledObjective(TorchObjective):
    """`TorchObjective`, with its sums over interactions taken by compiled loops."""

    def __init__(
        self, model: PairwiseModel, loss: Loss, l2: float, interactions: Interactions, dtype: torch.dtype
    ) -> None:
        if model.dot_product is None:
            raise ValueError("compiled loops need a model whose score is a dot product of rows")
        super().__init__(model, loss, l2, interactions, torch.device("cpu"), dtype)
        self._form = model.dot_product
        self._loss = _LOSS_CODES[loss.name]
        # What belongs together lies together: a loop over scattered interactions waits for each line of memory.
        self._label, self._weight = torch.stack([self._label, self._weight], 1).unbind(1)
        self._by_user = np.arange(len(interactions))
        self._ends_user = self._user.numpy()
        self._ends_item = self._item.numpy()
        self._far_of_items = self._ends_user[interactions.item_rows]
        self._cuts = _cuts(interactions.user_start, interactions.items)
        self._parts = np.empty((len(self._cuts) - 1, interactions.items, model.width), self._label.numpy().dtype)
        # Scratch over all rows, clean between calls: a call then costs what it touches, not the size of the model.
        self._place = np.full(self.rows, -1, dtype=np.int64)
        self._added = np.zeros((self.rows, model.width), self._label.numpy().dtype)
        self._reached = np.zeros(self.rows, dtype=np.bool_)
        self._met = np.zeros(self.rows, dtype=np.int64)
        self._listed, self._owed = np.empty(self.rows, dtype=np.int64), np.empty(self.rows)
        self._user_cuts = _even(interactions.user_start, get_num_threads())
        self._item_cuts = _even(interactions.item_start, get_num_threads()) + self.users

    def value(self, theta: Tensor) -> float:
        ends = self._ends_user, self._ends_item
        data = kernels.value(theta.numpy(), *ends, self._label.numpy(), self._weight.numpy(), *self._form, self._loss)
        return float(data + self.penalty(theta))

    def slopes(self, theta: Tensor) -> Slopes:
        slopes = self._new_slopes()
        kernels.slopes(
            theta.numpy(),
            self._ends_user,
            self._ends_item,
            self._label.numpy(),
            self._weight.numpy(),
            *self._form,
            self._loss,
            slopes.first.numpy(),
            slopes.second.numpy(),
        )
        return slopes

    def gradient(self, theta: Tensor, slopes: Slopes, rows: Tensor | None = None) -> Tensor:
        numbers = np.arange(self.rows) if rows is None else rows.numpy()
        out = torch.empty((len(numbers), theta.shape[1]), dtype=self.dtype)
        ridge, first = self.ridge.numpy(), slopes.first.numpy()
        for mine, side in self._sides(numbers):
            of_side = out.numpy()[mine]
            kernels.gradient(theta.numpy(), numbers[mine], *side, first, ridge, *self._form, of_side)
        return out

    def product(self, theta: Tensor, slopes: Slopes, x: Tensor) -> Tensor:
        out = torch.empty_like(x)
        kernels.product(
            theta.numpy(),
            x.numpy(),
            self._cuts,
            self.interactions.user_start,
            self._ends_item,
            slopes.first.numpy(),
            slopes.second.numpy(),
            self.ridge.numpy(),
            *self._form,
            self._parts,
            out.numpy(),
        )
        return out

    def across(self, theta: Tensor, slopes: Slopes, x: Tensor, of_users: bool) -> Tensor:
        table, derivatives = self.interactions, (slopes.first.numpy(), slopes.second.numpy())
        ends = self._cuts, table.user_start, self._ends_item
        out = x.new_empty(self.rows - self.users if of_users else self.users, x.shape[1])
        mine = theta.numpy(), x.numpy(), *ends, *derivatives, *self._form
        if of_users:
            kernels.onto_items(*mine, self._parts, out.numpy())
        else:
            kernels.onto_users(*mine, out.numpy())
        return out

    def advance(self, theta: Tensor, slopes: Slopes, x: Tensor) -> Advance:
        new, gradient = torch.empty_like(x), torch.empty_like(x)
        fresh = self._new_slopes()
        change = kernels.advance(
            theta.numpy(),
            x.numpy(),
            new.numpy(),
            self._cuts,
            self.interactions.user_start,
            self._ends_item,
            self._label.numpy(),
            self._weight.numpy(),
            self.ridge.numpy(),
            *self._form,
            self._loss,
            fresh.first.numpy(),
            fresh.second.numpy(),
            self._parts,
            gradient.numpy(),
        )
        return Advance(new, fresh, gradient, float(change))

    def blocks(self, theta: Tensor, slopes: Slopes, rows: Tensor) -> Tensor:
        numbers, width = rows.numpy(), theta.shape[1]
        out = torch.empty((len(numbers), width, width), dtype=self.dtype)
        ridge, second = self.ridge.numpy(), slopes.second.numpy()
        for mine, side in self._sides(numbers):
            of_side = out.numpy()[mine].reshape(-1, width)
            kernels.blocks(theta.numpy(), numbers[mine], *side, second, ridge, *self._form, of_side)
        return out

    def factors(self, theta: Tensor, slopes: Slopes, of_users: Int64, of_items: Int64) -> Tensor:
        out = torch.empty((len(of_users) + len(of_items), theta.shape[1]), dtype=self.dtype)
        at, second = theta.numpy(), slopes.second.numpy()
        support_kernels.factors(at, of_users, self._ends_item, second, *self._form, out[: len(of_users)].numpy())
        support_kernels.factors(at, of_items, self._ends_user, second, *self._form, out[len(of_users) :].numpy())
        return out

    def pull(self, theta: Tensor, slopes: Slopes, interaction: Tensor) -> tuple[Tensor, Tensor]:
        listed = interaction.numpy()
        rows = np.unique(np.concatenate([self._ends_user[listed], self._ends_item[listed]])).astype(np.int64)
        out = torch.empty((len(rows), theta.shape[1]), dtype=self.dtype)
        self._place[rows] = np.arange(len(rows))
        ends = self._ends_user, self._ends_item
        first = slopes.first.numpy()
        kernels.pull(theta.numpy(), listed, *ends, self._place, first, self.l2, *self._form, out.numpy())
        self._place[rows] = -1
        return torch.from_numpy(rows), out

    def coupling(self, theta: Tensor, slopes: Slopes, rows: Tensor) -> Coupling:
        numbers, table = rows.numpy(), self.interactions
        users = numbers[: np.searchsorted(numbers, self.users)]
        room = int((table.user_start[users + 1] - table.user_start[users]).sum())
        interaction, far = np.empty(room, dtype=np.int64), np.empty(room, dtype=np.int32)
        bounds = np.empty(len(users) + 1, dtype=np.int64)
        ends = self._place, table.user_start, self._ends_item
        self._place[numbers] = np.arange(len(numbers))
        found = support_kernels.coupling(users, *ends, self._weight.numpy(), interaction, far, bounds)
        self._place[numbers] = -1
        inside = interaction[:found]
        first, second = slopes.first.numpy()[inside], slopes.second.numpy()[inside]
        items = len(numbers) - len(users)
        cuts = _cuts(bounds, items)
        parts = np.empty((len(cuts) - 1, items, theta.shape[1]), first.dtype)
        return CompiledCoupling(theta.numpy()[numbers], cuts, bounds, far[:found], first, second, self._form, parts)

    def pull_along(self, theta: Tensor, slopes: Slopes, rows: Tensor, step: Tensor) -> tuple[Tensor, Tensor, int]:
        numbers, read = rows.numpy(), 0
        tail = slopes.first.numpy(), slopes.second.numpy(), *self._form, self._added, self._reached
        for (mine, side), of_users in zip(self._sides(numbers), (True, False), strict=True):
            listed = numbers[mine]
            cuts = self._far_cuts(listed, of_users)
            read += support_kernels.pull_along(cuts, theta.numpy(), listed, step.numpy()[mine], *side, *tail)
        near = np.flatnonzero(self._reached)
        added = torch.from_numpy(self._added[near])
        self._added[near] = 0
        self._reached[near] = False
        return torch.from_numpy(near), added, read

    def neighbours(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        numbers = rows.numpy()
        self._reached[numbers] = True
        # An interaction of two listed rows is met from its user.
        self._place[numbers[: np.searchsorted(numbers, self.users)]] = 0
        for mine, side in self._sides(numbers):
            support_kernels.meet(numbers[mine], *side, self._place, self._met, self._reached)
        near = np.flatnonzero(self._reached)
        met = self._met[near]
        self._met[near] = 0
        self._reached[near] = False
        self._place[numbers] = -1
        return torch.from_numpy(near), torch.from_numpy(met)

    def spread(self, before: Tensor, theta: Tensor, slopes: Slopes, rows: Tensor, debt: Tensor) -> int:
        numbers, at = rows.numpy(), theta.numpy()
        skip = np.zeros(self.rows, dtype=np.bool_)
        read = 0
        for (mine, side), of_users in zip(self._sides(numbers), (True, False), strict=True):
            listed = numbers[mine]
            read += support_kernels.spread(
                self._far_cuts(listed, of_users),
                before.numpy()[mine],
                at,
                listed,
                *side,
                skip,
                self._label.numpy(),
                self._weight.numpy(),
                *self._form,
                self._loss,
                slopes.first.numpy(),
                slopes.second.numpy(),
                debt.numpy(),
            )
            skip[listed] = True
        debt[rows] = self.gradient(theta, slopes, rows)
        return read

    def spread_side(
        self, before: Tensor, theta: Tensor, slopes: Slopes, rows: Tensor, debt: Tensor, heavy: float
    ) -> Spread:
        numbers = rows.numpy()
        users, items = self._sides(numbers)
        _, side = users if users[0].stop else items
        tables = (
            before.numpy(),
            theta.numpy(),
            numbers,
            *side,
            self._label.numpy(),
            self._weight.numpy(),
            self.ridge.numpy(),
            heavy,
            *self._form,
            self._loss,
            slopes.first.numpy(),
            slopes.second.numpy(),
            debt.numpy(),
            self._reached,
        )
        cuts = self._far_cuts(numbers, users[0].stop > 0)
        parts = len(cuts) - 1
        own = np.empty((parts, len(numbers), theta.shape[1]), debt.numpy().dtype)
        gains, counts = np.empty((parts, len(numbers)), own.dtype), np.empty((parts, 2), dtype=np.int64)
        push_kernels.spread_side_many(gains, self._listed, self._owed, own, cuts, counts, *tables)
        debt[rows] = self.ridge[rows, None] * theta[rows] + torch.from_numpy(own.sum(0))
        begins = cuts[:-1] - cuts[0]
        places = ranges(begins, begins + counts[:, 0])
        near, owed = torch.from_numpy(self._listed[places]), torch.from_numpy(self._owed[places])
        return Spread(near, owed, torch.from_numpy(gains.sum(0)), int(counts[:, 1].sum()))

    def _far_cuts(self, rows: Int64, of_users: bool) -> Int64:
        """Far rows [C + 1] at which work on rows [S] of one side is cut into parts: no two cores write to one."""
        table, first = self.interactions, 0 if of_users else self.users
        start = table.user_start if of_users else table.item_start
        cuts = self._item_cuts if of_users else self._user_cuts
        few = int((start[rows - first + 1] - start[rows - first]).sum()) < _WORTH
        return cuts[[0, -1]] if few else cuts

    def _sides(self, rows: Int64) -> list[tuple[slice, tuple[object, ...]]]:
        """The users and the items of ascending rows, each with (first row, start, order, far) of its side."""
        table, border = self.interactions, int(np.searchsorted(rows, self.users))
        return [
            (slice(0, border), (0, table.user_start, self._by_user, self._ends_item)),
            (slice(border, None), (self.users, table.item_start, table.item_rows, self._far_of_items)),
        ]

    def _new_slopes(self) -> Slopes:
        """Not yet set."""
        return Slopes(*torch.empty(len(self._label), 2, dtype=self.dtype).unbind(1))


def _cuts(start: Int64, items: int) -> Int64:
    """Users [C + 1] where parts of about as many interactions each begin, and the end; start [U + 1]."""
    total = int(start[-1])
    return _even(start, max(min(get_num_threads(), total // max(_WORK_PER_ITEM * items, 1)), 1))


def _even(start: Int64, parts: int) -> Int64:
    """Rows [C + 1] where C parts of about as many interactions each begin, and the end; start [rows + 1]."""
    shares = np.arange(1, parts) * int(start[-1]) // parts
    return np.concatenate([[0], np.searchsorted(start, shares), [len(start) - 1]]).astype(np.int64)
