"""The parameters of a model: named tables of rows, and tensors that all scores share.

The engine computes on one table θ [R, K], in which the row tables stand one after the other, users first, then items.
Shared tensors follow, flattened and padded with zeros to rows of their own.

Axes: U users, I items, R rows of θ, K columns of a row, S listed rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod

import torch
from torch import Tensor


@dataclass(frozen=True)
class Parameters:
    """tables: name -> rows [·, K], `user` and `item` first. shared: name -> tensor of any shape."""

    tables: Mapping[str, Tensor]
    shared: Mapping[str, Tensor] = field(default_factory=dict)

    @staticmethod
    def of(user: Tensor, item: Tensor) -> Parameters:
        """A model of two tables, user [U, K] and item [I, K]."""
        return Parameters({"user": user, "item": item})

    @staticmethod
    def unstacked(theta: Tensor, users: int) -> Parameters:
        """Views into θ [U + I, K] of a model of two tables."""
        return Parameters.of(theta[:users], theta[users:])

    @property
    def user(self) -> Tensor:
        """[U, K]."""
        return self.tables["user"]

    @property
    def item(self) -> Tensor:
        """[I, K]."""
        return self.tables["item"]

    @property
    def computed_in(self) -> torch.dtype:
        """The precision to compute in: float64 where they are stored so, float32 for anything less."""
        return torch.float64 if self.user.dtype == torch.float64 else torch.float32

    def stacked(self) -> Tensor:
        """A copy as θ [R, K]."""
        tables = list(self.tables.values())
        width = tables[0].shape[1]
        return torch.cat([*tables, *(_as_rows(tensor, width) for tensor in self.shared.values())])

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None, *, copy: bool = False) -> Parameters:
        """On a device, in a precision; as they are where they are so already, unless a copy is asked for."""
        tables, shared = (
            {name: tensor.to(device, dtype or tensor.dtype, copy=copy) for name, tensor in part.items()}
            for part in (self.tables, self.shared)
        )
        return Parameters(tables, shared)


@dataclass(frozen=True)
class ParameterUpdate:
    """New values of some parameters.

    tables: name -> (row numbers [S], ascending; values [S, K]). shared: name -> the whole tensor.
    """

    tables: Mapping[str, tuple[Tensor, Tensor]]
    shared: Mapping[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        """Rows and shared tensors that it sets."""
        return sum(len(rows) for rows, _ in self.tables.values()) + len(self.shared)


@dataclass(frozen=True)
class Layout:
    """Where each parameter stands in θ.

    rows: table -> number of rows. columns: name -> number of columns, left to right, alike in all tables: what a row is
    made of, like its embedding and its bias. shared: name -> shape.
    """

    rows: Mapping[str, int]
    columns: Mapping[str, int]
    shared: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def width(self) -> int:
        """K."""
        return sum(self.columns.values())

    def parameters(self, theta: Tensor) -> Parameters:
        """Views into θ [R, K]."""
        tables, shared, first = {}, {}, 0
        for name, count in self.rows.items():
            tables[name] = theta[first : first + count]
            first += count
        for name, shape in self.shared.items():
            count = _rows_of(prod(shape), self.width)
            shared[name] = theta[first : first + count].reshape(-1)[: prod(shape)].view(shape)
            first += count
        return Parameters(tables, shared)

    def update(self, theta: Tensor, rows: Tensor) -> ParameterUpdate:
        """What rows [S] of θ [R, K] hold; a shared tensor is whole, once a row of it is listed."""
        rows, tables, first = rows.sort().values, {}, 0
        for name, count in self.rows.items():
            mine = rows[(rows >= first) & (rows < first + count)]
            tables[name] = mine - first, theta[mine]
            first += count
        touched = bool((rows >= first).any())
        shared = self.parameters(theta).shared if touched else {}
        return ParameterUpdate(tables, {name: tensor.clone() for name, tensor in shared.items()})


def _as_rows(tensor: Tensor, width: int) -> Tensor:
    flat = tensor.reshape(-1)
    rows = _rows_of(len(flat), width)
    return torch.cat([flat, flat.new_zeros(rows * width - len(flat))]).view(rows, width)


def _rows_of(count: int, width: int) -> int:
    return -(-count // width)
