"""What is to be forgotten: the deletions that methods are compared on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from benchmarks.base import Base, stationary
from benchmarks.kept import Kept
from ifru.errors import IfruError
from ifru.interactions import Deletion, Interactions
from ifru.interactions.table import Int32, Int64

NOTHING = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Case:
    """A deletion, and the model that exact retraining without it gives.

    retained: the training rows that stay, at their positions. emptied [E]: rows that lose all their interactions.
    exact [R, K]: the retrained model, in float64.
    """

    name: str
    base: Base
    deletion: Deletion
    retained: Interactions
    emptied: Tensor
    exact: Tensor

    def start(self, dtype: torch.dtype) -> Tensor:
        """A copy of the base's θ [R, K], without the rows that nothing is left of."""
        theta = self.base.theta.to(dtype, copy=True)
        theta[self.emptied] = 0
        return theta

    @property
    def touched(self) -> Tensor:
        """Rows, ascending, that lose some of their interactions and keep some."""
        train, rows = self.base.train, self.deletion.train
        lost = np.union1d(train.user[rows], train.item[rows].astype(np.int64) + train.users)
        return torch.from_numpy(np.setdiff1d(lost, self.emptied.numpy()))

    def held_out(self, positions: Int64) -> Int64:
        """Those of some held-out rows that the deletion leaves."""
        return np.setdiff1d(positions, self.deletion.holdout)


def build(name: str, base: Base, seed: int, kept: Kept) -> Case:
    """The case of a name, such as 'rows:100'. Raises IfruError for a name that is unknown or does not fit the data."""
    return retrained(name, base, deletion_of(name, base, seed), kept)


def retrained(name: str, base: Base, deletion: Deletion, kept: Kept) -> Case:
    """The case of a deletion. Raises IfruError where it leaves nothing to train on."""
    case = to_retrain(name, base, deletion)
    depends = ("exact", base.config, base.stationary, base.theta.numpy(), deletion.train)

    def compute() -> Tensor:
        return stationary(case.retained, base.config, case.start(torch.float64), base.stationary)

    return replace(case, exact=kept.tensor(depends, compute))


def to_retrain(name: str, base: Base, deletion: Deletion) -> Case:
    """The case of a deletion, with the base in place of the retrained model. Raises IfruError as `retrained` does."""
    retained = base.train.copy()
    retained.delete(deletion.train)
    if retained.retained == 0:
        raise IfruError(f"case {name!r} deletes every training row; take a smaller number")
    had = base.train.degree > 0
    has = retained.degree > 0
    return Case(name, base, deletion, retained, torch.from_numpy(np.flatnonzero(had & ~has)), base.theta)


def default_names(base: Base) -> list[str]:
    """All kinds of cases that the data allow."""
    names = ["rows:100", "users:10", "items:3", "active:5"]
    return names if base.train.time is None else [*names, "month"]


def describe(name: str) -> str:
    """A case in words. Raises IfruError for a name that is unknown."""
    kind, count = parsed(name)
    return _KINDS[kind][1].format(count=count)


def deletion_of(name: str, base: Base, seed: int) -> Deletion:
    """What a case deletes. Raises IfruError for a name that is unknown or does not fit the data."""
    kind, count = parsed(name)
    return _KINDS[kind][0](base, count, np.random.default_rng(seed))


def parsed(name: str) -> tuple[str, int]:
    """The kind of a case and its number. Raises IfruError for a name that is unknown."""
    kind, _, number = name.partition(":")
    if kind not in _KINDS or (number and not number.isdecimal()) or number == "0":
        raise IfruError(f"case {name!r} is unknown; allowed are {', '.join(_KINDS)}, each with ':' and a number")
    return kind, int(number or _KINDS[kind][2])


def recorded(table: Interactions) -> Int64:
    """Positions of the rows that somebody recorded: those that are no sampled negatives."""
    return np.flatnonzero(table.recorded)


def _rows(base: Base, count: int, random: np.random.Generator) -> Deletion:
    return Deletion(base.train.with_companions(drawn(recorded(base.train), count, random)), NOTHING)


def _users(base: Base, count: int, random: np.random.Generator) -> Deletion:
    present = np.flatnonzero(base.train.user_degree)
    return Deletion.union(base.dataset.of_user(user) for user in drawn(present, count, random))


def _items(base: Base, count: int, _: np.random.Generator) -> Deletion:
    return Deletion.union(base.dataset.of_item(item) for item in _busiest(base.train, base.train.item, count))


def _active(base: Base, count: int, _: np.random.Generator) -> Deletion:
    return Deletion.union(base.dataset.of_user(user) for user in _busiest(base.train, base.train.user, count))


def _month(base: Base, count: int, _: np.random.Generator) -> Deletion:
    """The rows of whole calendar months, the one of middling size first."""
    if base.train.time is None:
        raise IfruError(f"case 'month' needs times, and {base.name} has none; take another case")
    months = [_month_of(table) for table in (base.train, base.dataset.holdout)]
    which, sizes = np.unique(months[0], return_counts=True)
    middling = which[np.argsort(np.abs(sizes - np.median(sizes)), kind="stable")[:count]]
    train, holdout = (np.flatnonzero(np.isin(month, middling)) for month in months)
    return Deletion(train, holdout)


def _month_of(table: Interactions) -> Int64:
    times = np.empty(0, dtype=np.int64) if table.time is None else table.time
    return times.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)


def _busiest(table: Interactions, side: Int32, count: int) -> list[int]:
    degree = np.bincount(side[recorded(table)])
    return [int(row) for row in np.argsort(-degree, kind="stable")[:count]]


def drawn(from_: Int64, count: int, random: np.random.Generator) -> Int64:
    """So many different ones. Raises IfruError where there are fewer."""
    if count > len(from_):
        raise IfruError(f"{count} are to be deleted, and there are {len(from_)}; take a smaller number")
    return random.choice(from_, count, replace=False)


_Kind = Callable[[Base, int, np.random.Generator], Deletion]

_KINDS: dict[str, tuple[_Kind, str, int]] = {
    "rows": (_rows, "{count} random interactions", 100),
    "users": (_users, "{count} whole users", 10),
    "items": (_items, "the {count} most popular items", 3),
    "active": (_active, "the {count} most active users", 5),
    "month": (_month, "all rows of {count} calendar month(s)", 1),
}
