"""What a model was trained on and is tested on, with the ids of both sides."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ifru.interactions.near import Spellings
from ifru.interactions.table import Float32, Int64, Interactions


class Ids:
    """A bijection between external ids (strings) and the rows of a parameter table.

    A row whose entity was erased keeps its number and loses its id: `name(row)` is then None.
    """

    def __init__(self, names: Iterable[str | None]) -> None:
        self._names: list[str | None] = list(names)
        self._rows = {name: row for row, name in enumerate(self._names) if name is not None}
        self._spellings: Spellings | None = None

    def __len__(self) -> int:
        """Number of rows, erased ones included."""
        return len(self._names)

    def __iter__(self) -> Iterator[str | None]:
        return iter(self._names)

    def row(self, name: str) -> int | None:
        """The row of an external id; None where there is no such entity (any more)."""
        return self._rows.get(name)

    def name(self, row: int) -> str | None:
        """The external id of a row; None once it was erased."""
        return self._names[row]

    def near(self, name: str) -> bool:
        """Whether an entity has the same id but for case, composition (NFC), surrounding blanks and leading zeros.

        The first call reads all ids; later ones do not.
        """
        if self._spellings is None:
            self._spellings = Spellings(self._names)
        return self._spellings.has_other(name)

    def forget(self, row: int) -> None:
        """Drop the external id of a row. Dropping it twice is no error."""
        name = self._names[row]
        if name is not None:
            self._names[row] = None
            del self._rows[name]

    def copy(self) -> Ids:
        return Ids(self._names)


@dataclass(frozen=True)
class NewLabels:
    """rows [n]: positions, ascending and unique. label [n]: what each of them gets."""

    rows: Int64
    label: Float32

    def __len__(self) -> int:
        return len(self.rows)

    @staticmethod
    def of(rows: Int64, label: float) -> NewLabels:
        """The same label for rows, ascending and unique."""
        return NewLabels(rows, np.full(len(rows), label, dtype=np.float32))

    @staticmethod
    def union(parts: Sequence[NewLabels], deleted: Int64) -> NewLabels:
        """All of several, but for deleted rows; of a row that several name, the last one counts."""
        parts = [part for part in parts if len(part)]
        if not parts:
            return NO_LABELS
        rows = np.concatenate([part.rows for part in parts])[::-1]
        label = np.concatenate([part.label for part in parts])[::-1]
        rows, last = np.unique(rows, return_index=True)
        kept = ~np.isin(rows, deleted)
        return NewLabels(rows[kept], label[last[kept]])

    def only(self, some: np.ndarray) -> NewLabels:
        """Those of them that are told by a mask [n]."""
        return NewLabels(self.rows[some], self.label[some])


NO_LABELS = NewLabels(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32))


@dataclass(frozen=True)
class Deletion:
    """Row positions to delete, ascending and unique, in each of the two tables; and rows that get another label."""

    train: Int64
    holdout: Int64
    train_labels: NewLabels = NO_LABELS
    holdout_labels: NewLabels = NO_LABELS

    def __len__(self) -> int:
        labels = self.train_labels.rows.size + self.holdout_labels.rows.size
        return self.train.size + self.holdout.size + labels

    @property
    def relabelled(self) -> int:
        """Rows that get another label."""
        return len(self.train_labels) + len(self.holdout_labels)

    @staticmethod
    def nothing() -> Deletion:
        return Deletion(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))

    @staticmethod
    def union(deletions: Iterable[Deletion]) -> Deletion:
        """Everything that any of them deletes, and the labels that the last of them gives to each other row."""
        parts = [part for part in deletions if len(part)]
        if not parts:
            return Deletion.nothing()
        if len(parts) == 1 and not parts[0].relabelled:
            return parts[0]
        train = np.unique(np.concatenate([part.train for part in parts]))
        holdout = np.unique(np.concatenate([part.holdout for part in parts]))
        return Deletion(
            train,
            holdout,
            NewLabels.union([part.train_labels for part in parts], train),
            NewLabels.union([part.holdout_labels for part in parts], holdout),
        )


@dataclass(frozen=True)
class Dataset:
    """Training rows, held-out rows and the ids of both sides. Held-out rows are personal data too."""

    train: Interactions
    holdout: Interactions
    users: Ids
    items: Ids

    def of_user(self, user: int) -> Deletion:
        """Everything recorded or drawn for a user."""
        return Deletion(
            self.train.with_companions(self.train.rows_of_user(user)),
            self.holdout.with_companions(self.holdout.rows_of_user(user)),
        )

    def of_user_before(self, user: int, time: int) -> Deletion:
        """What was recorded for a user before a time (microseconds since the epoch), with its negatives."""
        train, holdout = (
            table.with_companions(table.recorded_before(table.rows_of_user(user), time))
            for table in (self.train, self.holdout)
        )
        return Deletion(train, holdout)

    def of_item(self, item: int) -> Deletion:
        """Everything recorded for an item, with its negatives, and the negatives in which it was drawn."""
        return Deletion(
            self.train.with_companions(self.train.rows_of_item(item)),
            self.holdout.with_companions(self.holdout.rows_of_item(item)),
        )

    def of_pair(self, user: int, item: int) -> Deletion:
        """Everything recorded for one pair, with its negatives."""
        return self.of_pairs([(user, item)])

    def of_pairs(self, pairs: Collection[tuple[int, int]]) -> Deletion:
        """Everything recorded for pairs (user, item), with its negatives."""
        train, holdout = (table.with_companions(table.rows_of_pairs(pairs)) for table in (self.train, self.holdout))
        return Deletion(train, holdout)

    def relabelled(self, pairs: Collection[tuple[int, int]], label: float) -> Deletion:
        """What was recorded for pairs with another label than this one, which it gets."""
        found = []
        for table in (self.train, self.holdout):
            rows = np.array(table.rows_of_pairs(pairs), dtype=np.int64)
            found.append(NewLabels.of(rows[table.label[rows] != np.float32(label)], label))
        return replace(Deletion.nothing(), train_labels=found[0], holdout_labels=found[1])

    def delete(self, deletion: Deletion) -> Deletion:
        """Delete rows, give others their new labels, and forget the ids of entities that have no rows left.

        Returns what was still alive, and had another label.
        """
        deleted = Deletion(self.train.delete(deletion.train), self.holdout.delete(deletion.holdout))
        labels = deletion.train_labels, deletion.holdout_labels
        changed = [
            new.only(table.relabel(new.rows, new.label))
            for table, new in zip((self.train, self.holdout), labels, strict=True)
        ]
        for ids, side in ((self.users, "user"), (self.items, "item")):
            touched = np.union1d(getattr(self.train, side)[deleted.train], getattr(self.holdout, side)[deleted.holdout])
            left = getattr(self.train, f"{side}_degree")[touched] + getattr(self.holdout, f"{side}_degree")[touched]
            for row in touched[left == 0]:
                ids.forget(int(row))
            for table in (self.train, self.holdout):
                if (known := table.features.get(side)) is not None:
                    known[touched[left == 0]] = 0
        return replace(deleted, train_labels=changed[0], holdout_labels=changed[1])

    def copy(self) -> Dataset:
        """An independent data set with the same row positions."""
        return Dataset(self.train.copy(), self.holdout.copy(), self.users.copy(), self.items.copy())
