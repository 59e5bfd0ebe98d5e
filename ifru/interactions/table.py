"""Rows (user, item, label, weight) in CSR order of both sides; deletion by tombstone.

Axes: N interactions, U users, I items.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Float32 = NDArray[np.float32]
Bool = NDArray[np.bool_]


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


class Interactions:
    """A table of N interactions that can only shrink.

    Rows are sorted by (user, item), so the rows of user u are `user_start[u]:user_start[u + 1]`; those of item i
    are `item_rows[item_start[i]:item_start[i + 1]]`. Row positions never change: a deleted row keeps its place,
    is no longer `alive`, and no longer counts in the degrees.
    """

    def __init__(self, columns: Columns, users: int, items: int, alive: Bool | None = None) -> None:
        order = np.lexsort((columns.item, columns.user))
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
        self.user_start: Int64 = starts(self.user, users)
        self.item_start: Int64 = starts(self.item, items)
        self.item_rows: Int64 = np.argsort(self.item, kind="stable").astype(np.int64)
        self.user_degree: Int64 = np.bincount(self.user[self.alive], minlength=users).astype(np.int64)
        self.item_degree: Int64 = np.bincount(self.item[self.alive], minlength=items).astype(np.int64)
        self._sampled: Int64 = np.flatnonzero(self.origin != np.arange(len(order)))
        self._sampled = self._sampled[np.argsort(self.origin[self._sampled], kind="stable")]

    def __len__(self) -> int:
        """Rows, tombstones included."""
        return len(self.user)

    @property
    def users(self) -> int:
        return len(self.user_start) - 1

    @property
    def items(self) -> int:
        return len(self.item_start) - 1

    @property
    def retained(self) -> int:
        """Rows that are alive."""
        return int(self.user_degree.sum())

    def rows_of_user(self, user: int) -> Int64:
        """Positions of a user's retained rows, ascending."""
        rows = np.arange(self.user_start[user], self.user_start[user + 1])
        return rows[self.alive[rows]]

    def rows_of_item(self, item: int) -> Int64:
        """Positions of an item's retained rows, ascending."""
        rows = self.item_rows[self.item_start[item] : self.item_start[item + 1]]
        return rows[self.alive[rows]]

    def rows_of_pair(self, user: int, item: int) -> Int64:
        """Positions of the retained rows that somebody recorded for a pair; sampled negatives are not among them."""
        start, end = self.user_start[user], self.user_start[user + 1]
        first, last = start + np.searchsorted(self.item[start:end], [item, item + 1])
        rows = np.arange(first, last, dtype=np.int64)
        recorded: Int64 = rows[self.alive[rows] & (self.origin[rows] == rows)]
        return recorded

    def with_companions(self, rows: Int64) -> Int64:
        """Rows plus the retained negatives that were drawn for them, ascending and unique."""
        if len(self._sampled) == 0:
            return np.unique(rows)
        origins = self.origin[self._sampled]
        first, last = np.searchsorted(origins, rows), np.searchsorted(origins, rows, side="right")
        companions = self._sampled[ranges(first, last)]
        return np.unique(np.concatenate([rows, companions[self.alive[companions]]]))

    def delete(self, rows: Int64) -> Int64:
        """Delete rows; returns those that were still alive, ascending and unique."""
        rows = np.unique(rows)
        rows = rows[self.alive[rows]]
        self.alive[rows] = False
        np.subtract.at(self.user_degree, self.user[rows], 1)
        np.subtract.at(self.item_degree, self.item[rows], 1)
        return rows

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
        clone.user_degree = self.user_degree.copy()
        clone.item_degree = self.item_degree.copy()
        return clone


def starts(keys: Int32, count: int) -> Int64:
    """CSR row pointers [count + 1] of keys [N]."""
    return np.concatenate([[0], np.cumsum(np.bincount(keys, minlength=count))]).astype(np.int64)


def ranges(first: Int64, last: Int64) -> Int64:
    """The concatenation of arange(first[j], last[j]) over j."""
    lengths = last - first
    offsets = np.repeat(first - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths)
    return offsets + np.arange(int(lengths.sum()))
