"""Requests that were answered before: an index in memory, and which part of it goes into a file of the store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np

from ifru.requests import Request
from ifru.snapshots import Event, First, Manifest, Remembered, Run, Segment, event_hash, fingerprint
from ifru.snapshots.answered import SEGMENT_REQUESTS, short_hashes


class Answered:
    """Requests that were answered, for at least `days` days, by keyed hashes. key: of the hashes.

    Sorted runs of doubling size, so few are looked through: those that lie in files of the store, and newer ones.
    """

    def __init__(self, key: bytes, days: float, limit: int = SEGMENT_REQUESTS) -> None:
        self.key = key
        self._days = timedelta(days=days)
        self._limit = limit
        self._stored: list[tuple[Segment, Run]] = []
        self._recent: list[Run] = []

    def __len__(self) -> int:
        return sum(map(len, self._runs))

    @property
    def nbytes(self) -> int:
        """Bytes that they take in memory."""
        return sum(run.nbytes for run in self._runs)

    def since(self, now: datetime) -> datetime:
        """Requests that were answered before this time need not be remembered."""
        return now - self._days

    def event(self, request: Request) -> Event:
        """The keyed hash and the fingerprint of a request."""
        return Event(hash=event_hash(self.key, *request.identity), fingerprint=fingerprint(self.key, request))

    def find(self, events: Sequence[Event]) -> list[First | None]:
        """How requests were answered, of each the last time; None for those that never were."""
        hashes = short_hashes(events)
        found: list[First | None] = [None] * len(events)
        # Looking up in order is several times faster: it stays near in memory.
        missing = np.argsort(hashes)
        for run in reversed(self._runs):
            places = run.find(hashes[missing])
            for index in np.flatnonzero(places >= 0):
                found[missing[index]] = run.first(int(places[index]))
            missing = missing[places < 0]
        return found

    def add(self, run: Run) -> None:
        """Remember what a version newer than the known ones answered."""
        if len(run) == 0:
            return
        self._recent.append(run)
        while len(self._recent) > 1 and self._fit(*self._recent[-2:]):
            newer = self._recent.pop()
            self._recent[-1] = Run.merged([self._recent[-1], newer])

    def to_store(self, parent: Manifest, now: datetime, full: bool) -> Remembered | None:
        """What the version after `parent` stores of them; None where it need not, which only a full one always does."""
        if not full and sum(map(len, self._recent)) < self._limit:
            return None
        since = self.since(now)
        kept = [segment for segment in self._stored if segment[0].newest >= since]
        added = self._oldest_recent()
        last = parent.version if len(added) == len(self._recent) else self._recent[len(added)].versions[0] - 1
        run = Run.merged(added, since)
        while kept and self._fit(kept[-1][1], run):
            run = Run.merged([kept.pop()[1], run], since)
        return Remembered([segment for segment, _ in kept], run, last)

    def stored(self, manifest: Manifest, remembered: Remembered) -> None:
        """Take into account that a version has stored what `to_store` gave for it."""
        runs = dict(self._stored)
        self._stored = [(segment, runs.get(segment, remembered.added)) for segment in manifest.answered]
        self._recent = [run for run in self._recent if run.versions[0] > remembered.last]

    def load(self, segment: Segment, run: Run) -> None:
        """Take a segment that was read, newer than those before it."""
        self._stored.append((segment, run))

    @property
    def _runs(self) -> list[Run]:
        """The oldest first."""
        return [*(run for _, run in self._stored), *self._recent]

    def _fit(self, older: Run, newer: Run) -> bool:
        """Whether two runs become one: the older one is not the larger, and both together are not too large."""
        return len(older) <= len(newer) and len(older) + len(newer) <= self._limit

    def _oldest_recent(self) -> list[Run]:
        """As many recent runs as fit into one segment, at least one where there are any."""
        sizes = np.cumsum([len(run) for run in self._recent])
        return self._recent[: max(1, int(np.searchsorted(sizes, self._limit, "right")))]
