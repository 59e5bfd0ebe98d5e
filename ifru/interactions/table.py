"""Rows (user, item, label, weight) in CSR order of both sides; deletion by tombstone.

Axes: N interactions, M sampled negatives, U users, I items, R = U + I entities (users first, then items), S listed
entities.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Float32 = NDArray[np.float32]
Bool = NDArray[np.bool_]

_FEW = 8
"""Up to so many rows are looked up one by one: calls of NumPy take longer than that."""


@dataclass(frozen=True)
class Columns:
    """One set of interactions, in any order, as read or drawn.

    user, item [N]: row numbers. label, weight [N]: what the loss sees.
    time [N]: microseconds since the epoch, or None where the data has none.
    origin [N]: for a sampled negative the position of its positive, for every other row its own position.
    offset [N]: the loss derivative that the row's is counted from, or None where it is counted from zero.
    """

    user: Int32
    item: Int32
    label: Float32
    weight: Float32
    time: Int64 | None
    origin: Int64
    offset: Float32 | None = None

    def __len__(self) -> int:
        return len(self.user)


class Incidence(NamedTuple):
    """The interactions of one entity after the other (CSR), deleted ones included.

    Those of entity e stand from start[e] to before start[e + 1]. order [2N]: their positions in the table; the first N
    are all of them, as they come. far [2N]: the entity at the other end of each, ascending within an entity.
    """

    start: Int64
    order: Int64
    far: Int32

    def of(self, entities: Int64) -> Int64:
        """Positions of the interactions of listed entities [S], one entity after the other."""
        return self.order[ranges(self.start[entities], self.start[entities + 1])]

    def total(self, entities: Int64) -> int:
        """How many interactions listed entities [S] have together; those of two of them count twice."""
        return int(self.start[entities + 1].sum() - self.start[entities].sum())


class Companions(NamedTuple):
    """Sampled negatives by the row that they were drawn for, deleted ones included; 8 bytes for each.

    origin, negative: int32 [M], rows of a table that has fewer than 2**31, ascending by origin and then by negative.
    """

    origin: Int32
    negative: Int32

    @staticmethod
    def of(origin: Int64) -> Companions:
        """origin: as of `Columns`."""
        negative = np.flatnonzero(origin != np.arange(len(origin))).astype(np.int32)
        origin_of = origin[negative].astype(np.int32)
        order = ascending(origin_of)
        return Companions(origin_of[order], negative[order])

    def of_rows(self, rows: Int64) -> Int64:
        """Those of listed rows, one row after the other."""
        # Searched for numbers of another type, the whole column would be converted each time.
        wanted = rows.astype(np.int32)
        first, last = (np.searchsorted(self.origin, wanted, side) for side in ("left", "right"))
        return self.negative[ranges(first, last)].astype(np.int64)

    def of_row(self, row: int) -> list[int]:
        """Those of one row."""
        origin = self.origin.data
        first = last = bisect_left(origin, row)
        while last < len(origin) and origin[last] == row:
            last += 1
        found: list[int] = self.negative[first:last].tolist()
        return found


class Interactions:
    """A table of N interactions that can only shrink.

    Rows are sorted by (user, item). Row positions never change: a deleted row keeps its place, is no longer `alive`,
    and no longer counts in the `degree` [R] of its user and its item.
    """

    def __init__(self, columns: Columns, users: int, items: int, alive: Bool | None = None) -> None:
        order = ascending(columns.item)
        order = order[ascending(columns.user[order])]
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order))
        self.user: Int32 = np.ascontiguousarray(columns.user[order], dtype=np.int32)
        self.item: Int32 = np.ascontiguousarray(columns.item[order], dtype=np.int32)
        self.label: Float32 = np.ascontiguousarray(columns.label[order], dtype=np.float32)
        self.weight: Float32 = np.ascontiguousarray(columns.weight[order], dtype=np.float32)
        self.time: Int64 | None = None if columns.time is None else np.ascontiguousarray(columns.time[order])
        self.offset: Float32 | None = (
            None if columns.offset is None else np.ascontiguousarray(columns.offset[order], dtype=np.float32)
        )
        self.origin: Int64 = place[columns.origin[order]]
        self.alive: Bool = np.ones(len(order), dtype=bool) if alive is None else alive[order].copy()
        self.users, self.items = users, items
        self.features: dict[str, Float32] = {}
        """`user` or `item` -> what is known of each of them [U, Fu] or [I, Fi]; nothing where a model reads none."""
        by_item = ascending(self.item)
        far = np.concatenate([self.item + np.int32(users), self.user[by_item]])
        start = np.concatenate([[0], np.cumsum(np.bincount(far, minlength=users + items))])
        self.incidence = Incidence(start, np.concatenate([np.arange(len(order)), by_item]), far)
        self.degree = np.bincount(far[self.alive[self.incidence.order]], minlength=users + items)
        self.retained = int(self.alive.sum())
        """Rows that are alive. Counted along, so that asking does not take longer of more data."""
        self._companions = Companions.of(self.origin)

    def __len__(self) -> int:
        """Rows, tombstones included."""
        return len(self.user)

    @property
    def user_degree(self) -> Int64:
        """[U]: a view."""
        return self.degree[: self.users]

    @property
    def item_degree(self) -> Int64:
        """[I]: a view."""
        return self.degree[self.users :]

    @property
    def recorded(self) -> Bool:
        """[N]: which rows somebody recorded; the others are sampled negatives."""
        recorded: Bool = self.origin == np.arange(len(self))
        return recorded

    def kept(self, rows: Int64) -> Int64:
        """Those of listed rows that are alive."""
        return rows[self.alive[rows]]

    def halves(self, entities: Int64) -> tuple[slice, slice]:
        """Where the users and where the items stand among listed entities [S], ascending."""
        border = int(entities.searchsorted(self.users))
        return slice(0, border), slice(border, None)

    def rows_of_user(self, user: int) -> Int64:
        """Positions of a user's retained rows, ascending."""
        return self.kept(self.incidence.of(np.array([user])))

    def rows_of_item(self, item: int) -> Int64:
        """Positions of an item's retained rows, ascending."""
        return self.kept(self.incidence.of(np.array([self.users + item])))

    def rows_of_pairs(self, pairs: Iterable[tuple[int, int]]) -> list[int]:
        """Positions of the retained rows that somebody recorded for pairs (user, item), ascending and unique.

        Sampled negatives are not among them. It takes log N steps for each pair.
        """
        # One number after the other is read from a view in half the time that it takes from an array.
        of_item, start, found = self.item.data, self.incidence.start, set()
        for user, item in pairs:
            begin, end = start[user : user + 2].tolist()
            row = bisect_left(of_item, item, begin, end)
            while row < end and of_item[row] == item:
                if self.alive[row] and self.origin[row] == row:
                    found.add(row)
                row += 1
        return sorted(found)

    def recorded_before(self, rows: Int64, time: int) -> Int64:
        """Those of listed rows that somebody recorded before a time (microseconds since the epoch).

        None of them where the table has no times.
        """
        if self.time is None:
            return rows[:0]
        recorded: Int64 = rows[(self.time[rows] < time) & (self.origin[rows] == rows)]
        return recorded

    def with_companions(self, rows: Int64 | list[int]) -> Int64:
        """Rows plus the retained negatives that were drawn for them, ascending and unique."""
        if len(rows) == 0:
            return np.empty(0, dtype=np.int64)
        if len(rows) > _FEW:
            listed = np.asarray(rows)
            return np.union1d(listed, self.kept(self._companions.of_rows(listed)))
        drawn = (negative for row in rows for negative in self._companions.of_row(row) if self.alive[negative])
        return np.array(sorted({*rows, *drawn}), dtype=np.int64)

    def delete(self, rows: Int64) -> Int64:
        """Delete rows; returns those that were still alive, ascending and unique."""
        rows = self.kept(np.unique(rows))
        self.alive[rows] = False
        self.retained -= len(rows)
        np.subtract.at(self.degree, np.concatenate([self.user[rows], self.incidence.far[rows]]), 1)
        return rows

    def relabel(self, rows: Int64, label: Float32) -> Bool:
        """Give rows, unique, new labels [n]; returns which were retained and had another one. Copies keep theirs."""
        changed: Bool = self.alive[rows] & (self.label[rows] != label)
        if changed.any():
            self.label = self.label.copy()
            self.label[rows[changed]] = label[changed]
        return changed

    def columns(self) -> Columns:
        """The retained rows alone; sampled negatives still point at their positive."""
        place = np.cumsum(self.alive) - 1
        own = np.arange(len(self))
        origin = np.where(self.alive[self.origin], self.origin, own)
        keep = self.alive
        return Columns(
            user=self.user[keep],
            item=self.item[keep],
            label=self.label[keep],
            weight=self.weight[keep],
            time=None if self.time is None else self.time[keep],
            origin=place[origin[keep]],
            offset=None if self.offset is None else self.offset[keep],
        )

    def copy(self) -> Interactions:
        """An independent table with the same positions and the same tombstones."""
        clone = object.__new__(Interactions)
        clone.__dict__.update(self.__dict__)
        clone.alive = self.alive.copy()
        clone.degree = self.degree.copy()
        clone.features = {side: known.copy() for side, known in self.features.items()}
        return clone


def ranges(first: Int64, last: Int64) -> Int64:
    """The concatenation of arange(first[j], last[j]) over j."""
    lengths = last - first
    offsets = np.repeat(first - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths)
    return offsets + np.arange(int(lengths.sum()))


def ascending(numbers: Int32) -> Int64:
    """The stable order of numbers of 0 and more: NumPy sorts 16 bits by radix, in a quarter of the time."""
    order = (numbers & 0xFFFF).astype(np.uint16).argsort(kind="stable")
    if numbers.max(initial=0) > 0xFFFF:
        order = order[(numbers[order] >> 16).astype(np.uint16).argsort(kind="stable")]
    return order
