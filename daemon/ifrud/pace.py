"""How fast a thread works that others share the machine with."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event

REST = 0.02
"""Seconds that a rest takes at least: to fall asleep and to be woken takes time as well."""


class Pace:
    """Rests between the steps of a thread while it is held back. Any thread may hold it back or let it go.

    now: seconds, never going back. wait(event, seconds): returns then at the latest, or once the event is set.
    """

    def __init__(
        self, now: Callable[[], float] = time.monotonic, wait: Callable[[Event, float], object] = Event.wait
    ) -> None:
        self._now, self._wait = now, wait
        self._free = Event()
        self._share = 1.0
        self._since, self._owed = now(), 0.0
        self.let_go()

    @property
    def held_back(self) -> bool:
        return not self._free.is_set()

    def hold_back(self, share: float) -> None:
        """From now on work takes this share of the time, above 0, at most: of the time since the step before."""
        self._share = share
        self._free.clear()

    def let_go(self) -> None:
        """From now on work takes all of the time; who rests wakes up."""
        self._free.set()

    def begin(self) -> None:
        """A thread begins with its first step."""
        self._since, self._owed = self._now(), 0.0

    def step(self) -> None:
        """Called by the thread after each of its steps: rests as long as they are to take up the share.

        Who is woken late rests less the next time.
        """
        now = self._now()
        worked, self._since = now - self._since, now
        if self._free.is_set():
            self._owed = 0.0
            return
        self._owed += worked * (1 / self._share - 1)
        if self._owed >= REST:
            self._wait(self._free, self._owed)
            self._since = self._now()
            self._owed -= self._since - now
