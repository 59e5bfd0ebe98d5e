"""Whether those that the daemon depends on answer: its source, its store and its outboxes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import structlog

from ifru.errors import IfruError

Peer = Literal["source", "store", "receipts", "dead_letters"]

_SPOKEN: dict[Peer, str] = {
    "source": "the source",
    "store": "the store",
    "receipts": "the outbox of receipts",
    "dead_letters": "the outbox of dead letters",
}

log = structlog.stdlib.get_logger("ifrud")


@dataclass(frozen=True)
class _Vain:
    """When a peer was asked in vain, for the first and for the last time since it answered, by the clock.

    writing: whether it was a write, which a read that is answered says nothing about.
    """

    first: float
    last: float
    writing: bool


class Contact:
    """When a peer last answered, and how long it has been asked in vain. Any thread may tell it or ask it.

    patience: seconds of silence after which the peer counts as away. Time in which nobody asks it is no silence.
    clock: seconds, never going back. utc: the time of day.
    """

    def __init__(self, name: Peer, patience: float, clock: Callable[[], float], utc: Callable[[], datetime]) -> None:
        self.name = name
        self.answered_at = math.nan
        self._patience = patience
        self._clock = clock
        self._utc = utc
        self._vain: _Vain | None = None

    @property
    def away(self) -> bool:
        """Whether it has been silent for longer than `patience`."""
        return self.silence > self._patience

    @property
    def silence(self) -> float:
        """Seconds for which it has been asked in vain; 0 while it answers."""
        vain = self._vain
        return 0.0 if vain is None else vain.last - vain.first

    @property
    def connected(self) -> float:
        """1 while it answers, 0 while it is away, NaN until it was asked."""
        if self.away:
            return 0.0
        return math.nan if math.isnan(self.answered_at) else 1.0

    @property
    def since(self) -> datetime | None:
        """Since when it has not answered; None while it does, or where it never has."""
        return datetime.fromtimestamp(self.answered_at, UTC) if self.away and self.answered_at > 0 else None

    def answered(self, at: float | None = None, writing: bool = True) -> None:
        """It answered, at a time in seconds since the epoch, which is now where it is not given."""
        self.answered_at = self._utc().timestamp() if at is None else at
        vain = self._vain
        if vain is None or (vain.writing and not writing):
            return
        if self.away:
            log.info(f"{_SPOKEN[self.name]} answers again, after {vain.last - vain.first:.0f} s", away=self.name)
        self._vain = None

    def silent(self, since: float, why: IfruError | None = None, writing: bool = False) -> None:
        """It was asked at a time of the clock, and has not answered. why: the error that came instead."""
        vain, was_away = self._vain, self.away
        first = since if vain is None else vain.first
        self._vain = _Vain(first, self._clock(), writing or (vain is not None and vain.writing))
        if vain is None and why is not None:
            log.warning(f"{_SPOKEN[self.name]} failed, and is asked again until it answers: {why}", away=self.name)
        if self.away and not was_away:
            log.warning(f"{_SPOKEN[self.name]} has been away for {self.silence:.0f} s: not ready", away=self.name)

    def heard(self, at: float | None, asked: float) -> None:
        """It was asked at a time of the clock, and its last answer came `at` (seconds since the epoch)."""
        if at is not None and at != self.answered_at:
            self.answered(at)
        else:
            self.silent(asked)

    @contextmanager
    def asking(
        self, failure: type[IfruError], answers: tuple[type[IfruError], ...] = (), writing: bool = False
    ) -> Iterator[None]:
        """Tell what the operation inside shows. failure: what it raises; answers: those of them that are answers."""
        since = self._clock()
        try:
            yield
        except answers:
            self.answered(writing=writing)
            raise
        except failure as error:
            self.silent(since, error, writing)
            raise
        self.answered(writing=writing)
