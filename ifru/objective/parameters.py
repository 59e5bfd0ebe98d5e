"""The parameters of a model: named tables of rows, and tensors that all scores share.

The engine computes on one table θ [R, K], in which the row tables stand one after the other, users first, then items.
Shared tensors follow, flattened and padded with zeros to rows of their own.

Axes: U users, I items, R rows of θ, K columns of a row, S listed rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
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


MOST_COUNT, MOST_EXPONENT = (1 << 15) - 1, 100
"""Of either sign: what fits two bytes, and one, and is finite in float32."""


@dataclass(frozen=True)
class Steps:
    """How some rows moved: to before + counts·2^exponent, in float32.

    rows [S], ascending; exponent [S] and counts [S, K], whole numbers as floats, up to the most that they may be.
    """

    rows: Tensor
    exponent: Tensor
    counts: Tensor

    def of(self, before: Tensor) -> Tensor:
        """Where rows are [S, K] that were at `before` [S, K]."""
        return before + self.counts * torch.exp2(self.exponent)[:, None]

    def within(self, first: int, count: int) -> Steps:
        """Those of `count` rows from `first` on, counted from there."""
        mine = self.only((self.rows >= first) & (self.rows < first + count))
        return replace(mine, rows=mine.rows - first)

    def only(self, kept: Tensor) -> Steps:
        """Those that a mask [S] tells."""
        return Steps(self.rows[kept], self.exponent[kept], self.counts[kept])


@dataclass(frozen=True)
class ParameterUpdate:
    """Which parameters change, and how.

    tables: name -> (row numbers [S], ascending; new values [S, K]). shared: name -> the whole tensor as it is now.
    steps: name -> those of other rows.
    """

    tables: Mapping[str, tuple[Tensor, Tensor]]
    shared: Mapping[str, Tensor] = field(default_factory=dict)
    steps: Mapping[str, Steps] = field(default_factory=dict)

    def __len__(self) -> int:
        """Rows and shared tensors that it changes."""
        rows = [*(rows for rows, _ in self.tables.values()), *(steps.rows for steps in self.steps.values())]
        return sum(map(len, rows)) + len(self.shared)

    def applied(self, parameters: Parameters) -> Parameters:
        """What it makes of parameters, whose tables are changed in place.

        Raises IndexError or RuntimeError for rows that they do not have.
        """
        for name, (rows, values) in self.tables.items():
            parameters.tables[name][rows] = values
        for name, steps in self.steps.items():
            table = parameters.tables[name]
            table[steps.rows] = steps.of(table[steps.rows])
        return Parameters(parameters.tables, {**parameters.shared, **self.shared})


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
        tables, shared = {}, {}
        for name, first, count in self._places():
            tables[name] = theta[first : first + count]
        first = sum(self.rows.values())
        for name, shape in self.shared.items():
            count = _rows_of(prod(shape), self.width)
            shared[name] = theta[first : first + count].reshape(-1)[: prod(shape)].view(shape)
            first += count
        return Parameters(tables, shared)

    def update(self, theta: Tensor, rows: Tensor, steps: Steps | None = None) -> ParameterUpdate:
        """What rows [S] of θ [R, K] hold; a shared tensor is whole, once a row of it is listed. steps: of some of S."""
        touched = len(rows) > 0 and int(rows.max()) >= sum(self.rows.values())
        shared = self.parameters(theta).shared if touched else {}
        stepped = {}
        if steps is not None:
            rows = rows[~torch.isin(rows, steps.rows)]
            stepped = {name: steps.within(first, count) for name, first, count in self._places()}
        rows, tables = rows.sort().values, {}
        for name, first, count in self._places():
            mine = rows[(rows >= first) & (rows < first + count)]
            tables[name] = mine - first, theta[mine]
        return ParameterUpdate(tables, {name: tensor.clone() for name, tensor in shared.items()}, stepped)

    def _places(self) -> Iterator[tuple[str, int, int]]:
        """The name of each table, its first row in θ, and how many it has."""
        first = 0
        for name, count in self.rows.items():
            yield name, first, count
            first += count


def _as_rows(tensor: Tensor, width: int) -> Tensor:
    flat = tensor.reshape(-1)
    rows = _rows_of(len(flat), width)
    return torch.cat([flat, flat.new_zeros(rows * width - len(flat))]).view(rows, width)


def _rows_of(count: int, width: int) -> int:
    return -(-count // width)
