"""Time that methods take, without the time that measuring them takes."""

from __future__ import annotations

import gc
from collections.abc import Callable
from statistics import median
from types import TracebackType
from typing import TypeVar

Clock = Callable[[], float]
P = TypeVar("P")
T = TypeVar("T")

ENOUGH = 2.0
"""Seconds after which nothing is repeated any more."""


class Stopwatch:
    """Adds up the seconds that are spent inside `with`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._start = 0.0
        self.seconds = 0.0

    def __enter__(self) -> None:
        self._start = self._clock()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.seconds += self._clock() - self._start


def repeated(clock: Clock, times: int, prepare: Callable[[], P], work: Callable[[P], T]) -> tuple[T, float]:
    """The last result of some work, and the median of its seconds.

    Each repetition works on what `prepare` makes afresh. Neither this nor freeing the result before is timed. Slow work
    is not repeated. The garbage collector waits meanwhile.
    """
    found: list[float] = []
    results: list[T] = []
    gc.disable()
    try:
        while True:
            prepared = prepare()
            results.clear()
            start = clock()
            results.append(work(prepared))
            found.append(clock() - start)
            if len(found) >= times or sum(found) > ENOUGH:
                return results[0], median(found)
    finally:
        gc.enable()
