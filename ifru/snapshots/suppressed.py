"""Who was erased and is not to come back: keyed hashes of users, items and pairs, as columns.

Axes: N entries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ifru.interactions.table import Bool, Int64

Kind = Literal["user", "item", "pair", "before"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
NO_TIME: Final = int(np.iinfo(np.int64).min)

UInt64 = NDArray[np.uint64]
Subject = tuple[Kind, int]
"""What an entry is about, and the first 8 bytes of its keyed hash; of `before` that of the user."""


@dataclass(frozen=True)
class Suppressed:
    """Entries of a suppression list, sorted by kind and hash, each subject once.

    kind: uint8 [N], its place in KINDS. hash: uint64 [N]. time: int64 [N], of `before` the time up to which rows are
    erased, in microseconds since 1970, UTC; else NO_TIME. released: bool [N], the subject is taken off the list.
    """

    kind: NDArray[np.uint8]
    hash: UInt64
    time: Int64
    released: Bool

    @staticmethod
    def of(entries: Mapping[Subject, int | None]) -> Suppressed:
        """Subject -> its time, NO_TIME where it has none, or None where it is released."""
        subjects = sorted(entries, key=lambda subject: (KINDS.index(subject[0]), subject[1]))
        times = [entries[subject] for subject in subjects]
        return Suppressed(
            kind=np.array([KINDS.index(kind) for kind, _ in subjects], dtype=np.uint8),
            hash=np.array([hashed for _, hashed in subjects], dtype=np.uint64),
            time=np.array([NO_TIME if time is None else time for time in times], dtype=np.int64),
            released=np.array([time is None for time in times], dtype=bool),
        )

    def __len__(self) -> int:
        return len(self.hash)

    def then(self, later: Suppressed) -> Suppressed:
        """This list after what a later one adds and releases. Of two times the later one holds."""
        columns = {
            field.name: np.concatenate([getattr(self, field.name), getattr(later, field.name)])
            for field in fields(Suppressed)
        }
        # A stable sort, so that the later one of two entries comes last.
        order = np.lexsort((columns["hash"], columns["kind"]))
        kind, hashed, time, released = (columns[name][order] for name in ("kind", "hash", "time", "released"))
        first = np.append(True, (kind[1:] != kind[:-1]) | (hashed[1:] != hashed[:-1]))[: len(kind)]
        last = np.append(first[1:], True)[: len(kind)]
        starts = np.flatnonzero(first)
        latest = np.maximum.reduceat(time, starts) if len(starts) else time
        gone = released[last]
        return Suppressed(kind[last], hashed[last], np.where(gone, NO_TIME, latest), gone)

    @property
    def standing(self) -> Suppressed:
        """Without what is released."""
        return self._where(~self.released)

    def of_kind(self, kind: Kind) -> Suppressed:
        """The entries of one kind, so sorted by hash."""
        return self._where(self.kind == KINDS.index(kind))

    def _where(self, chosen: Bool) -> Suppressed:
        return Suppressed(*(getattr(self, field.name)[chosen] for field in fields(Suppressed)))


NOBODY: Final = Suppressed.of({})
