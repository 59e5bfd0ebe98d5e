"""How the daemon outlasts a store or an outbox that is away."""

from __future__ import annotations

from collections.abc import Callable

from ifru.errors import IfruError

PAUSE = 0.5
"""Seconds between two attempts. The clients of store and broker repeat requests by themselves, with growing pauses."""


class Patience:
    """Asked after each failure whether to try again: yes, after a pause, until the daemon is told to stop.

    Before `last` is called nothing is tried again: what is wrong at the start is best told at once.
    wait: sleeps for so many seconds. beat: records that the engine thread is alive.
    """

    def __init__(self, wait: Callable[[float], None], beat: Callable[[], None]) -> None:
        self._wait = wait
        self._beat = beat
        self._stop: Callable[[], bool] = lambda: True

    def last(self, stop: Callable[[], bool]) -> None:
        """Have patience from now on, until stop()."""
        self._stop = stop

    def __call__(self, error: IfruError) -> bool:
        self._beat()
        if self._stop():
            return False
        self._wait(PAUSE)
        return not self._stop()
