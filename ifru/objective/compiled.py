"""The objective by compiled loops: models whose score is a dot product of rows, on the CPU.

Axes as in `ifru.objective.protocol`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ifru.interactions.table import Int64, Interactions
from ifru.losses import Loss
from ifru.models.pairwise import PairwiseModel
from ifru.objective import bilinear_kernels as kernels
from ifru.objective.protocol import Coupling, Slopes
from ifru.objective.torch_path import TorchObjective

_LOSS_CODES = {"bce": 0, "squared": 1}


@dataclass(frozen=True)
class CompiledCoupling:
    """`Coupling` of M interactions. theta [S, K]; ends [M, 2]: places in the support; first, second [M]."""

    theta: NDArray[np.floating]
    ends: NDArray[np.int32]
    first: NDArray[np.floating]
    second: NDArray[np.floating]
    form: tuple[int, bool]

    @property
    def interactions(self) -> int:
        return len(self.ends)

    def product(self, x: Tensor) -> Tensor:
        out = torch.empty_like(x)
        kernels.coupled_product(self.theta, self.ends, self.first, self.second, x.numpy(), *self.form, out.numpy())
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
        self._by_user = np.arange(len(interactions))
        self._ends_user = self._user.numpy()
        self._ends_item = self._item.numpy()
        self._tangent = np.empty(len(interactions), self._label.numpy().dtype)
        # Scratch over all rows, clean between calls: a call then costs what it touches, not the size of the model.
        self._place = np.full(self.rows, -1, dtype=np.int64)
        self._added = np.zeros((self.rows, model.width), self._label.numpy().dtype)
        self._reached = np.zeros(self.rows, dtype=np.bool_)

    def value(self, theta: Tensor) -> float:
        ends = self._ends_user, self._ends_item
        data = kernels.value(theta.numpy(), *ends, self._label.numpy(), self._weight.numpy(), *self._form, self._loss)
        return float(data + self.penalty(theta))

    def slopes(self, theta: Tensor) -> Slopes:
        slopes = Slopes(torch.empty_like(self._label), torch.empty_like(self._label))
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
        first, second, ridge = slopes.first.numpy(), slopes.second.numpy(), self.ridge.numpy()
        table, at, along = self.interactions, theta.numpy(), x.numpy()
        tail = (first, second, ridge, *self._form, self._tangent, out.numpy())
        kernels.product_users(at, along, self.users, table.user_start, self._ends_item, *tail)
        kernels.product_items(at, along, self.users, table.item_start, table.item_rows, self._ends_user, *tail)
        return out

    def blocks(self, theta: Tensor, slopes: Slopes, rows: Tensor) -> Tensor:
        numbers, width = rows.numpy(), theta.shape[1]
        out = torch.empty((len(numbers), width, width), dtype=self.dtype)
        ridge, second = self.ridge.numpy(), slopes.second.numpy()
        for mine, side in self._sides(numbers):
            kernels.blocks(theta.numpy(), numbers[mine], *side, second, ridge, *self._form, out.numpy()[mine])
        return out

    def coupling(self, theta: Tensor, slopes: Slopes, rows: Tensor) -> Coupling:
        numbers, table = rows.numpy(), self.interactions
        users = numbers[: np.searchsorted(numbers, self.users)]
        room = int((table.user_start[users + 1] - table.user_start[users]).sum())
        interaction, ends = np.empty(room, dtype=np.int64), np.empty((room, 2), dtype=np.int32)
        self._place[numbers] = np.arange(len(numbers))
        weight = self._weight.numpy()
        found = kernels.coupling(users, self._place, table.user_start, self._ends_item, weight, interaction, ends)
        self._place[numbers] = -1
        inside = interaction[:found]
        first, second = slopes.first.numpy()[inside], slopes.second.numpy()[inside]
        return CompiledCoupling(theta.numpy()[numbers], ends[:found], first, second, self._form)

    def pull_along(self, theta: Tensor, slopes: Slopes, rows: Tensor, step: Tensor) -> tuple[Tensor, Tensor, int]:
        numbers, read = rows.numpy(), 0
        tail = slopes.first.numpy(), slopes.second.numpy(), *self._form, self._added, self._reached
        for mine, side in self._sides(numbers):
            read += kernels.pull_along(theta.numpy(), numbers[mine], step.numpy()[mine], *side, *tail)
        near = np.flatnonzero(self._reached)
        added = torch.from_numpy(self._added[near])
        self._added[near] = 0
        self._reached[near] = False
        return torch.from_numpy(near), added, read

    def neighbours(self, rows: Tensor) -> Tensor:
        numbers = rows.numpy()
        near = np.zeros(self.rows, dtype=np.bool_)
        for mine, side in self._sides(numbers):
            kernels.mark_neighbours(numbers[mine], *side, near)
        return torch.from_numpy(np.flatnonzero(near))

    def spread(self, before: Tensor, theta: Tensor, slopes: Slopes, rows: Tensor, debt: Tensor) -> int:
        numbers, at = rows.numpy(), theta.numpy()
        skip = np.zeros(self.rows, dtype=np.bool_)
        read = 0
        for mine, side in self._sides(numbers):
            read += kernels.spread(
                before.numpy()[mine],
                at,
                numbers[mine],
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
            skip[numbers[mine]] = True
        debt[rows] = self.gradient(theta, slopes, rows)
        return read

    def _sides(self, rows: Int64) -> list[tuple[slice, tuple[object, ...]]]:
        """The users and the items of ascending rows, each with (first row, start, order, far rows) of its side."""
        table, border = self.interactions, int(np.searchsorted(rows, self.users))
        return [
            (slice(0, border), (0, table.user_start, self._by_user, self._ends_item)),
            (slice(border, None), (self.users, table.item_start, table.item_rows, self._ends_user)),
        ]
