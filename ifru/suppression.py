"""The suppression list: keeps those who were erased out of what is trained from data that still has them.

    suppression = Suppression.read(open_store("s3://models/shop"))
    table = filter(table, suppression)

A version holds keyed hashes of what was erased, never an id: with the key one can test whether a known id is on it.

Axes: N rows, U users, I items.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import reduce
from pathlib import Path

import numpy as np
import pyarrow as pa

from ifru.interactions import Dataset, Deletion
from ifru.interactions.loading import Recorded, id_column, times
from ifru.interactions.table import Bool, Int32, Int64
from ifru.requests import Request
from ifru.snapshots import NO_TIME, NOBODY, Reader, Store, Subject, Suppressed, hash_key_of
from ifru.snapshots.hash_key import KEY_BYTES, PAIR_BITS, encoded_id, pair_hash, pairs_of, subject_hash
from ifru.snapshots.suppressed import KINDS, Kind, UInt64

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Names = Sequence[str | None]


@dataclass(frozen=True)
class Suppression:
    """Who was erased from the versions of a prefix, and was not released since. key: of the hashes.

    parts: what versions added and released, the oldest first.
    """

    key: bytes = field(repr=False)
    parts: tuple[Suppressed, ...] = ()

    @staticmethod
    def read(store: Store, hash_key: bytes | None = None) -> Suppression:
        """The list of the newest version. hash_key: where it is not kept with the versions.

        Raises NoVersion, WrongHashKey, CorruptFile, StoreError.
        """
        reader = Reader(store)
        manifest = reader.manifest(reader.newest())
        return Suppression(hash_key_of(store, manifest.hash_key_id, hash_key), (reader.suppressed(manifest),))

    @property
    def whole(self) -> Suppressed:
        """All entries that stand."""
        return reduce(Suppressed.then, self.parts, NOBODY).standing

    def after(self, added: Suppressed) -> Suppression:
        """This list after what a version added and released."""
        parts = [*self.parts, *([added] if len(added) else [])]
        # Each part is longer than the one after it, so an entry is copied a few times at most.
        while len(parts) > 1 and len(parts[-2]) <= len(parts[-1]):
            parts[-2:] = [parts[-2].then(parts[-1])]
        return Suppression(self.key, tuple(parts))

    def of(self, requests: Iterable[Request]) -> Suppressed:
        """What answered requests, in their order, add and release."""
        entries: dict[Subject, int | None] = {}
        for request in requests:
            for subject, time in _entries(self.key, request):
                known = entries.get(subject)
                entries[subject] = time if time is None or known is None else max(time, known)
        return Suppressed.of(entries)

    def rows(self, dataset: Dataset) -> Deletion:
        """The rows of a data set that are not to be trained on or tested on, with the negatives drawn for them."""
        known = self._known(list(dataset.users), list(dataset.items))
        train, holdout = (
            table.with_companions(
                np.flatnonzero(table.alive & known.forbidden(table.user, table.item, table.time, table.recorded))
            )
            for table in (dataset.train, dataset.holdout)
        )
        return Deletion(train, holdout)

    def kept(self, recorded: Recorded) -> Recorded:
        """The rows of a data file that may be trained on. Where they have no times, `erase_before` holds for all."""
        known, every = self._known(recorded.users, recorded.items), np.ones(len(recorded.user), dtype=bool)
        return recorded.where(~known.forbidden(recorded.user, recorded.item, recorded.time, every))

    def _known(self, users: Names, items: Names) -> _Known:
        entries = self.whole
        of_kind = {kind: entries.of_kind(kind) for kind in KINDS}
        hashes = self._hashes("user", users) if len(entries) > len(of_kind["item"]) else _none(users)
        of_items = self._hashes("item", items) if len(of_kind["item"]) else _none(items)
        return _Known(
            key=self.key,
            users=users,
            items=items,
            of_user=np.isin(hashes, of_kind["user"].hash),
            of_pair=np.isin(self._pairs_of(users, hashes), of_kind["pair"].hash >> PAIR_BITS),
            of_item=np.isin(of_items, of_kind["item"].hash),
            until=_until(hashes, of_kind["before"]),
            pairs=of_kind["pair"].hash,
        )

    def _pairs_of(self, users: Names, hashes: UInt64) -> UInt64:
        """What the hashes of users' pairs begin with; nothing is where there is no name. hashes: of the users."""
        if len(self.key) == KEY_BYTES:
            return hashes >> np.uint64(PAIR_BITS)
        found = (0 if name is None else pairs_of(self.key, encoded_id(name)) for name in users)
        return np.fromiter(found, dtype=np.uint64, count=len(users))

    def _hashes(self, kind: Kind, names: Names) -> UInt64:
        """0 where there is no name."""
        hashes = (0 if name is None else subject_hash(self.key, kind, encoded_id(name)) for name in names)
        return np.fromiter(hashes, dtype=np.uint64, count=len(names))


@dataclass(frozen=True)
class _Known:
    """What is on a list of the users [U] and the items [I] of some data.

    of_user: bool [U]. of_pair: bool [U], whether a pair of theirs may be on it. of_item: bool [I].
    until: int64 [U], the time before which rows are erased, or NO_TIME.
    pairs: keyed hashes of all that are erased.
    """

    key: bytes
    users: Names
    items: Names
    of_user: Bool
    of_pair: Bool
    of_item: Bool
    until: Int64
    pairs: UInt64

    def forbidden(self, user: Int32, item: Int32, time: Int64 | None, recorded: Bool) -> Bool:
        """Which rows [N] are not to be there. recorded: [N], which are no sampled negatives.

        Only recorded rows are an interaction of the pair.
        """
        found = self.of_user[user] | self.of_item[item]
        until = self.until[user]
        found |= recorded & ((until != NO_TIME) if time is None else (time < until))
        if len(self.pairs):
            rows = np.flatnonzero(recorded & ~found & self.of_pair[user])
            found[rows] = np.isin(self._hashes(user[rows], item[rows]), self.pairs)
        return found

    def _hashes(self, user: Int32, item: Int32) -> UInt64:
        users, items = (
            [b"" if name is None else encoded_id(name) for name in side] for side in (self.users, self.items)
        )
        pairs, place = np.unique(user.astype(np.int64) * len(items) + item, return_inverse=True)
        numbers = (divmod(pair, len(items)) for pair in pairs.tolist())
        hashes = (pair_hash(self.key, users[row], items[column]) for row, column in numbers)
        return np.fromiter(hashes, dtype=np.uint64, count=len(pairs))[place]


def filter(table: pa.Table, suppression: Suppression) -> pa.Table:  # noqa: A001 - read as suppression.filter
    """A table of interactions without those of erased users, items and pairs; for trainers of other programs.

    The columns of users and items are found by their names, as in data files of `ifru train`, and a column of times
    where there is one; without one, whoever had rows before some time erased loses all. Raises DataError.
    """
    where = Path("the table")
    (user, users), (item, items) = (id_column(table, role, where) for role in ("user", "item"))
    every, known = np.ones(table.num_rows, dtype=bool), suppression._known(users, items)
    return table.filter(pa.array(~known.forbidden(user, item, times(table, where), every)))


def _none(names: Names) -> UInt64:
    return np.zeros(len(names), dtype=np.uint64)


def _until(of_users: UInt64, before: Suppressed) -> Int64:
    """The time [U] before which a user's rows are erased; NO_TIME where none are."""
    if len(before) == 0:
        return np.full(len(of_users), NO_TIME)
    places = np.minimum(np.searchsorted(before.hash, of_users), len(before) - 1)
    return np.where(before.hash[places] == of_users, before.time[places], NO_TIME)


def _entries(key: bytes, request: Request) -> Iterable[tuple[Subject, int | None]]:
    """What a request that was answered puts on the list (with a time, or NO_TIME), or takes off it (None)."""

    def of(kind: str, name: str) -> int:
        return subject_hash(key, kind, encoded_id(name))

    def of_pair(user: str, item: str) -> int:
        return pair_hash(key, encoded_id(user), encoded_id(item))

    match request.content:
        case {"type": "erase_user", "subject": str(user)}:
            yield ("user", of("user", user)), NO_TIME
        case {"type": "erase_item", "subject": str(item)}:
            yield ("item", of("item", item)), NO_TIME
        case {"type": "erase_interactions", "interactions": list(pairs)}:
            yield from ((("pair", of_pair(*pair)), NO_TIME) for pair in pairs)
        case {"type": "erase_before", "subject": str(user), "before": str(before)}:
            until = (datetime.fromisoformat(before) - _EPOCH) // timedelta(microseconds=1)
            yield ("before", of("user", user)), until
        case {"type": "release", "subject": str(user)}:
            yield from ((("user", of("user", user)), None), (("before", of("user", user)), None))
        case {"type": "release", "interactions": list(pairs)}:
            yield from ((("pair", of_pair(*pair)), None) for pair in pairs)
