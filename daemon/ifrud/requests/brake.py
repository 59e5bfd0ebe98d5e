"""The brake: what would erase more than a share of the rows within an hour is held until somebody approves it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from ifru.interactions import Dataset, Deletion
from ifru.requests import Identity, Request
from ifru.snapshots import ErasedRows, Holding, Manifest, Reader
from ifrud.requests.answered import Answered
from ifrud.requests.held import NOTHING_HELD, HeldRequest

WINDOW = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
NOTHING_SHORTENED: Mapping[Identity, Request] = {}


@dataclass(frozen=True)
class Verdict:
    """What the brake says of the requests of a batch. held: why, of those that are not carried out. deletion: what the
    others erase. counted: rows of it, without those that somebody approved."""

    held: Mapping[Identity, str]
    deletion: Deletion
    counted: int


@dataclass(frozen=True)
class Brake:
    """share: of the rows, that may be erased within an hour. held: all requests that are held, the oldest first.
    erased: rows by minute. It is replaced by another one with each version."""

    share: float
    held: Mapping[Identity, HeldRequest] = field(default_factory=lambda: NOTHING_HELD)
    erased: Sequence[ErasedRows] = ()

    @staticmethod
    def load(reader: Reader, newest: Manifest, answered: Answered, share: float) -> Brake:
        """As the newest version leaves it. Raises StoreError or CorruptFile."""
        held = [HeldRequest.read(line, answered.event) for line in reader.pending(newest)]
        return Brake(share, {each.request.identity: each for each in held}, newest.erased_recently)

    def judge(
        self, parts: Mapping[Identity, Deletion], approved: Collection[Identity], dataset: Dataset, now: datetime
    ) -> Verdict:
        """Which requests are held. parts: the rows that they mean, in the order in which they came.

        What is approved is carried out in any case and counts for nothing. Rows that several requests mean count once.
        """
        recent = sum(each.rows for each in self._window(now))
        total = dataset.train.retained + dataset.holdout.retained + recent
        every = Deletion.union(parts.values())
        counted = _count(every) - (_count(Deletion.union(parts[each] for each in approved)) if approved else 0)
        if recent + counted <= self.share * total:
            return Verdict({}, every, counted)
        rows = _Rows(dataset)
        for identity in approved:
            rows.take(parts[identity])
        held, counted = {}, 0
        for identity, part in parts.items():
            found = rows.left(part)
            if len(found) == 0 or recent + counted + len(found) <= self.share * total:
                rows.take(found)
                counted += len(found)
            else:
                held[identity] = (
                    f"would erase {len(found)} rows after the {recent + counted} of the last hour, which is more than "
                    f"brake_share allows: {self.share:.4g} of {total}"
                )
        return Verdict(held, Deletion.union(part for each, part in parts.items() if each not in held), counted)

    def after(
        self,
        held: Mapping[Identity, HeldRequest],
        released: Collection[Identity],
        counted: int,
        now: datetime,
        shortened: Mapping[Identity, Request] = NOTHING_SHORTENED,
    ) -> Brake:
        """After a version. held: what it holds in addition. released: what it answers in another way. shortened: what
        asks for less now, of both."""
        rows = {each.minute: each.rows for each in self._window(now)}
        minute = _minute(now)
        if counted:
            rows[minute] = rows.get(minute, 0) + counted
        kept = {each: one for each, one in self.held.items() if each not in released} | dict(held)
        for identity, request in shortened.items():
            kept[identity] = replace(kept[identity], request=request)
        last = sorted(rows.items())[-(WINDOW // MINUTE) :]
        return replace(self, held=kept, erased=[ErasedRows(minute=at, rows=n) for at, n in last])

    @property
    def holding(self) -> Holding:
        """What a version says of it."""
        held = self.held.values()
        return Holding([each.public for each in held], [each.line() for each in held], self.erased)

    def _window(self, now: datetime) -> list[ErasedRows]:
        return [each for each in self.erased if each.minute > _minute(now) - WINDOW]


def _count(deletion: Deletion) -> int:
    """How many rows it deletes."""
    return len(deletion.train) + len(deletion.holdout)


class _Rows:
    """Which rows of a data set were taken."""

    def __init__(self, dataset: Dataset) -> None:
        self._train = np.zeros(len(dataset.train), dtype=np.bool_)
        self._holdout = np.zeros(len(dataset.holdout), dtype=np.bool_)

    def left(self, part: Deletion) -> Deletion:
        return Deletion(part.train[~self._train[part.train]], part.holdout[~self._holdout[part.holdout]])

    def take(self, part: Deletion) -> None:
        self._train[part.train] = self._holdout[part.holdout] = True


def _minute(time: datetime) -> datetime:
    return time.astimezone(UTC).replace(second=0, microsecond=0)
