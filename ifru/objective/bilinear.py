"""Dot products of rows: the objective by compiled loops, on the CPU.

Axes as in `ifru.objective.protocol`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import torch
from numba import get_num_threads
from torch import Tensor

from ifru.interactions import Interactions
from ifru.interactions.table import Incidence, Int32, Int64, ranges
from ifru.kernels import bilinear as kernels
from ifru.kernels import local
from ifru.kernels.dispatch import compiled
from ifru.kernels.local import Reached
from ifru.kernels.score import Derivatives, Floats, Form, Move, Step, Terms
from ifru.objective.losses import Loss
from ifru.objective.pairwise import PairwiseObjective, PairwisePoint
from ifru.objective.penalty import penalty
from ifru.objective.protocol import Coupling, SideUpdate
from ifru.objective.score import PairwiseScore

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
        self.form = Form(score.columns["embedding"], "bias" in score.columns, _LOSS_CODES[loss.name])
        # What belongs together lies together: a loop over scattered interactions waits for each line of memory.
        self.label, self.weight = torch.stack([self.label, self.weight], 1).unbind(1)
        self.terms = Terms(self.label.numpy(), self.weight.numpy())
        self.ends_user, self.ends_item = self.user.numpy(), self.item.numpy()
        self.incidence, self.halves = interactions.incidence, interactions.halves
        start = self.incidence.start
        self.parts = self.parts_of(start[: self.users + 1], interactions.items)
        # Scratch over all rows, clean between calls: a call then costs what it touches, not the size of the model.
        self.place = np.full(self.rows, -1, dtype=np.int64)
        self.added = torch.zeros((self.rows, self.layout.width), dtype=dtype).numpy()
        self.reached = np.zeros(self.rows, dtype=np.bool_)
        self.met = np.zeros(self.rows, dtype=np.int64)
        self.listed, self.penalised = np.empty(self.rows, dtype=np.int64), np.empty(self.rows)
        halves = (0, start[: self.users + 1]), (self.users, start[self.users :])
        cuts = [first + _even(of_half, get_num_threads()) for first, of_half in halves]
        self._cuts = [(each[[0, -1]], each) for each in cuts]

    def point(self, theta: Tensor, first: Tensor, second: Tensor, gradient: Tensor | None = None) -> BilinearPoint:
        return BilinearPoint(self, theta, first, second, gradient)

    def derivatives(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        first, second = self.new_derivatives()
        tables = self.ends_user, self.ends_item, self.terms, self.form
        kernels.derivatives(theta.numpy(), *tables, first.numpy(), second.numpy())
        return first, second

    def value(self, theta: Tensor) -> float:
        data = kernels.value(theta.numpy(), self.ends_user, self.ends_item, self.terms, self.form)
        return float(data + penalty(self.ridge, theta))

    def new_derivatives(self) -> tuple[Tensor, Tensor]:
        """Two columns [N] that are not yet set."""
        first, second = torch.empty(len(self.label), 2, dtype=self.dtype).unbind(1)
        return first, second

    def parts_of(self, start: Int64, items: int) -> tuple[Int64, Floats]:
        """Users [C + 1] at which parts of about as many interactions each begin, and the end; scratch [C, I, K].

        start [U + 1]: where the interactions of a user begin.
        """
        cuts = _even(start, max(min(get_num_threads(), int(start[-1]) // max(_WORK_PER_ITEM * items, 1)), 1))
        return cuts, torch.empty((len(cuts) - 1, items, self.layout.width), dtype=self.dtype).numpy()

    def far_cuts(self, rows: Int64) -> Int64:
        """Far rows [C + 1] at which work on rows [S] of one side is cut into parts: no two cores write to one."""
        few, many = self._cuts[1 if len(rows) > 0 and rows[0] < self.users else 0]
        return few if self.incidence.total(rows) < _WORTH else many


def dot_product_objective(
    score: PairwiseScore, loss: Loss, l2: float, interactions: Interactions, device: torch.device, dtype: torch.dtype
) -> PairwiseObjective:
    """The objective of a dot product of rows on a device, by compiled loops where these run."""
    if compiled(device):
        return BilinearObjective(score, loss, l2, interactions, dtype)
    return PairwiseObjective(score, loss, l2, interactions, device, dtype)


class BilinearPoint(PairwisePoint):
    """`PairwisePoint` by compiled loops."""

    objective: BilinearObjective

    @cached_property
    def derivatives(self) -> Derivatives:
        """`first` and `second`, as compiled loops take them."""
        return Derivatives(self.first.numpy(), self.second.numpy())

    def gradient_of(self, rows: Tensor | None) -> Tensor:
        objective, theta = self.objective, self.theta.numpy()
        numbers = np.arange(objective.rows) if rows is None else rows.numpy()
        out = torch.empty((len(numbers), theta.shape[1]), dtype=objective.dtype)
        tables = objective.incidence, self.derivatives.first, objective.ridge.numpy(), objective.form
        for half in objective.halves(numbers):
            kernels.gradient_of(theta, numbers[half], *tables, out.numpy()[half])
        return out

    def linear(self) -> Self:
        first, second = self.objective.new_derivatives()
        second.copy_(self.second)
        return type(self)(self.objective, self.theta, first.zero_(), second, self.gradient)

    def product(self, x: Tensor) -> Tensor:
        out, ridge = torch.empty_like(x), self.objective.ridge.numpy()
        kernels.product(*self._by_user(x), *self.objective.parts, ridge, out.numpy())
        return out

    def advance(self, x: Tensor) -> tuple[Self, float]:
        objective, new, gradient = self.objective, self.theta + x, torch.empty_like(x)
        first, second = objective.new_derivatives()
        change = kernels.advance(
            Step(self.theta.numpy(), x.numpy(), new.numpy()),
            objective.incidence,
            objective.terms,
            objective.form,
            *objective.parts,
            objective.ridge.numpy(),
            first.numpy(),
            second.numpy(),
            gradient.numpy(),
        )
        return type(self)(objective, new, first, second, gradient, self.value + float(change)), float(change)

    def blocks(self, rows: Tensor) -> Tensor:
        objective, theta, numbers = self.objective, self.theta.numpy(), rows.numpy()
        out = torch.empty((len(numbers), theta.shape[1], theta.shape[1]), dtype=objective.dtype)
        tables = objective.incidence, self.derivatives.second, objective.ridge.numpy(), objective.form
        for half in objective.halves(numbers):
            kernels.blocks(theta, numbers[half], *tables, out.numpy()[half].reshape(-1, theta.shape[1]))
        return out

    def factors(self, of_users: Int64, of_items: Int64) -> Tensor:
        objective, at, second = self.objective, self.theta.numpy(), self.derivatives.second
        out = torch.empty((len(of_users) + len(of_items), self.theta.shape[1]), dtype=objective.dtype)
        local.factors(at, of_users, objective.ends_item, second, objective.form, out[: len(of_users)].numpy())
        local.factors(at, of_items, objective.ends_user, second, objective.form, out[len(of_users) :].numpy())
        return out

    def contribution(self, interactions: Tensor) -> tuple[Tensor, Tensor]:
        objective, listed = self.objective, interactions.numpy()
        ends = objective.ends_user, objective.ends_item
        rows = np.unique(np.concatenate([end[listed] for end in ends])).astype(np.int64)
        out = torch.empty((len(rows), self.theta.shape[1]), dtype=objective.dtype)
        objective.place[rows] = np.arange(len(rows))
        tables = *ends, objective.place, self.derivatives.first
        kernels.contribution(self.theta.numpy(), listed, *tables, objective.l2, objective.form, out.numpy())
        objective.place[rows] = -1
        return torch.from_numpy(rows), out

    def cross(self, x: Tensor, of_users: bool) -> Tensor:
        objective = self.objective
        out = x.new_empty(objective.rows - objective.users if of_users else objective.users, x.shape[1])
        if of_users:
            kernels.cross_to_items(*self._by_user(x), *objective.parts, out.numpy())
        else:
            kernels.cross_to_users(*self._by_user(x), objective.parts[0], out.numpy())
        return out

    def coupling(self, rows: Tensor) -> Coupling:
        objective, numbers = self.objective, rows.numpy()
        users = numbers[objective.halves(numbers)[0]]
        room, theta = objective.incidence.total(users), self.theta.numpy()[numbers]
        start, order, far = np.empty(len(users) + 1, np.int64), np.empty(room, np.int64), np.empty(room, np.int32)
        objective.place[numbers] = np.arange(len(numbers))
        found = local.coupling(users, objective.incidence, objective.place, objective.terms.weight, start, order, far)
        objective.place[numbers] = -1
        first, second = (each[order[:found]] for each in self.derivatives)
        parts = objective.parts_of(start, len(numbers) - len(users))
        return BilinearCoupling(theta, start, far[:found], first, second, objective.form, parts)

    def gradient_along(self, rows: Tensor, step: Tensor) -> tuple[Tensor, Tensor, int]:
        objective, numbers, read = self.objective, rows.numpy(), 0
        tables = objective.incidence, self.derivatives, objective.form, objective.added, objective.reached
        for half in objective.halves(numbers):
            listed, along = numbers[half], step.numpy()[half]
            read += local.gradient_along(objective.far_cuts(listed), self.theta.numpy(), listed, along, *tables)
        near = np.flatnonzero(objective.reached)
        added = torch.from_numpy(objective.added[near])
        objective.added[near] = 0
        objective.reached[near] = False
        return torch.from_numpy(near), added, read

    def neighbours(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        objective, numbers = self.objective, rows.numpy()
        objective.reached[numbers] = True
        # An interaction of two listed rows is met from its user.
        objective.place[numbers[objective.halves(numbers)[0]]] = 0
        local.neighbours(numbers, objective.incidence, objective.place, objective.met, objective.reached)
        objective.place[numbers] = -1
        near = np.flatnonzero(objective.reached)
        met = objective.met[near]
        objective.met[near] = 0
        objective.reached[near] = False
        return torch.from_numpy(near), torch.from_numpy(met)

    def update(self, rows: Tensor, before: Tensor) -> int:
        objective, numbers, gradient, read = self.objective, rows.numpy(), self.gradient, 0
        skip = np.zeros(objective.rows, dtype=np.bool_)
        tables = objective.terms, objective.form, *self.derivatives, gradient.numpy()
        for half in objective.halves(numbers):
            move = Move(numbers[half], before.numpy()[half], self.theta.numpy())
            read += local.update(objective.far_cuts(move.rows), move, objective.incidence, skip, *tables)
            skip[move.rows] = True
        gradient[rows] = self.gradient_of(rows)
        return read

    def update_side(self, rows: Tensor, before: Tensor, heavy: float) -> SideUpdate:
        objective, gradient = self.objective, self.gradient
        move = Move(rows.numpy(), before.numpy(), self.theta.numpy())
        cuts = objective.far_cuts(move.rows)
        own = np.empty((len(cuts) - 1, *before.shape), move.theta.dtype)
        gains, counts = np.empty(own.shape[:2], own.dtype), np.empty((len(own), 2), dtype=np.int64)
        out = Reached(cuts, objective.listed, objective.penalised, objective.reached, own, gains, counts)
        tables = objective.terms, objective.form, self.derivatives, objective.ridge.numpy()
        local.update_side(move, objective.incidence, *tables, heavy, gradient.numpy(), out)
        gradient[rows] = objective.ridge[rows, None] * self.theta[rows] + torch.from_numpy(own.sum(0))
        begins = cuts[:-1] - cuts[0]
        places = ranges(begins, begins + counts[:, 0])
        reached, penalised = (torch.from_numpy(each[places]) for each in (out.rows, out.penalised))
        return SideUpdate(reached, penalised, torch.from_numpy(gains.sum(0)), int(counts[:, 1].sum()))

    def _by_user(self, x: Tensor) -> tuple[Floats, Floats, Incidence, Derivatives, Form]:
        objective = self.objective
        return self.theta.numpy(), x.numpy(), objective.incidence, self.derivatives, objective.form


@dataclass(frozen=True)
class BilinearCoupling:
    """`Coupling` of M interactions.

    theta [S, K]: the support's rows. Those of its user u stand from start[u] to before start[u + 1]; far [M]: where the
    item stands in the support; first, second [M]: loss derivatives; parts: see `BilinearObjective.parts_of`.
    """

    theta: Floats
    start: Int64
    far: Int32
    first: Floats
    second: Floats
    form: Form
    parts: tuple[Int64, Floats]

    @property
    def interactions(self) -> int:
        return len(self.far)

    def product(self, x: Tensor) -> Tensor:
        out = torch.empty_like(x)
        interactions = self.start, self.far, self.first, self.second
        local.coupling_product(self.theta, x.numpy(), *interactions, self.form, *self.parts, out.numpy())
        return out


def _even(start: Int64, parts: int) -> Int64:
    """Rows [C + 1] where C parts of about as many interactions each begin, and the end; start [rows + 1]."""
    cuts: Int64 = start.searchsorted(start[0] + np.arange(parts + 1) * (start[-1] - start[0]) // parts)
    cuts[-1] = len(start) - 1
    return cuts
