"""When a micro-batch closes. The time is passed in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from ifrud.settings import BatchSettings
from ifrud.streams.sources import Event


class Closed(StrEnum):
    """Why a batch closed, as the end of a sentence."""

    FULL = "it was full"
    AGE = "its oldest event had waited long enough"
    IDLE = "no more events came"
    STOP = "the daemon is stopping"


@dataclass(frozen=True)
class Batch:
    """Events in the order in which they were read, at least one."""

    events: Sequence[Event]
    closed: Closed


ARRIVING = 0.01
"""Seconds that a batch still waits at least whose events came while the one before was worked on: the client asks for
more only once it is asked, and a batch of the few that it had would be followed by another one."""


class Batcher:
    """Collects events until they are a batch.

    After a batch that closes full the next one takes up to max_backlog: one combined update is cheaper than two. One
    that closes because no more events came sets the limit back to max_requests.

    interval: seconds between the ends of two batches at least; one that is full does not wait for it.
    """

    def __init__(self, settings: BatchSettings, interval: float = 0.0) -> None:
        self._settings = settings
        self._interval = interval
        self._earliest = -math.inf
        self._max_age = settings.max_age_ms / 1000
        self._idle = settings.idle_ms / 1000
        self._limit = settings.max_requests
        self._events: list[Event] = []
        self._bytes = 0
        self._oldest = 0.0
        self._newest = 0.0

    def __len__(self) -> int:
        return len(self._events)

    @property
    def room(self) -> int:
        """How many more events the batch takes."""
        return max(0, self._limit - len(self._events))

    def add(self, events: Sequence[Event], now: float, since: float | None = None) -> None:
        """Take events that were read at `now` (seconds). since: when they may have come, if nobody looked meanwhile."""
        if not events:
            return
        if not self._events:
            self._oldest = now if since is None else max(since, now + min(0.0, ARRIVING - self._max_age))
        self._newest = now
        self._events.extend(events)
        self._bytes += sum(len(event.payload or b"") for event in events)

    def patience(self, now: float) -> float | None:
        """Seconds for which the batch may still wait for events; None while it has none."""
        if not self._events:
            return None
        if self._full:
            return 0.0
        due = min(self._newest + self._idle, self._oldest + self._max_age)
        return max(0.0, max(due, self._earliest) - now)

    def close(self, now: float, stopping: bool = False) -> Batch | None:
        """The batch, where it is due; None where it is empty or may still grow."""
        reason = self._due(now, stopping)
        if reason is None:
            return None
        batch = Batch(tuple(self._events), reason)
        if reason is Closed.FULL:
            self._limit = self._settings.max_backlog
        elif reason is Closed.IDLE:
            self._limit = self._settings.max_requests
        self._events, self._bytes = [], 0
        self._earliest = now + self._interval
        return batch

    @property
    def _full(self) -> bool:
        return len(self._events) >= self._limit or self._bytes >= self._settings.max_bytes

    def _due(self, now: float, stopping: bool) -> Closed | None:
        if not self._events:
            return None
        if self._full:
            return Closed.FULL
        if stopping:
            return Closed.STOP
        if now >= max(self._earliest, self._oldest + self._max_age):
            return Closed.AGE
        if now >= max(self._earliest, self._newest + self._idle):
            return Closed.IDLE
        return None
