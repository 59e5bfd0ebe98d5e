"""How fast a thread works that others share the machine with."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event


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
        self._since = now()
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
        self._since = self._now()

    def step(self) -> None:
        """Called by the thread after each of its steps: rests as long as they are to take up the share."""
        worked = self._now() - self._since
        if not self._free.is_set():
            self._wait(self._free, worked * (1 / self._share - 1))
        self._since = self._now()
