"""Where a process is killed: SIGKILL before, during or after a step, when that step is done for the n-th time."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable
from threading import Event, Lock, Timer
from typing import TypeVar

T = TypeVar("T")

REPEATED = "repeated receipts"

STEPS = (
    "probe",
    "seek",
    REPEATED,
    "dead letters",
    "put delta",
    "put model",
    "put rows",
    "put answered",
    "put suppressed",
    "put pending",
    "put ledger",
    "create claim",
    "create answers",
    "create refinement",
    "create proof",
    "put HEAD",
    "receipts",
    "acknowledge",
)
"""What happens at a store, a source or an outbox, in a process's order. `create` says of what kind a version is."""

POINTS = (
    *(f"{when} {step}" for step in STEPS for when in ("before", "during", "after")),
    "after poll",
    "during refinement",
    "during proof",
)

DELAY = 0.006
"""Seconds after which `during` kills, at most: about as long as a broker or a bucket takes to answer."""


class Killer:
    """Kills this process. point: where, if at all. number: at which time. delay: seconds within a step."""

    def __init__(self, point: str | None, number: int, delay: float) -> None:
        self._point, self._number, self._delay = point, number, delay
        self._reached: Counter[str] = Counter()
        self._lock = Lock()

    def step(self, name: str, work: Callable[[], T]) -> T:
        """Do a step, and live through it or not."""
        self.reached(f"before {name}")
        during = self._is_due(f"during {name}")
        if during:
            Timer(self._delay, kill).start()
        result = work()
        if during:
            kill()
        self.reached(f"after {name}")
        return result

    def reached(self, point: str) -> None:
        """Where the process may be killed, outside of a step."""
        if self._is_due(point):
            kill()

    def passed(self, point: str) -> bool:
        """Whether the process has been there."""
        return self._reached[point] > 0

    def _is_due(self, point: str) -> bool:
        with self._lock:
            self._reached[point] += 1
            return point == self._point and self._reached[point] == self._number


def kill() -> None:
    """End this process, as the kernel does it."""
    os.kill(os.getpid(), signal.SIGKILL)
    Event().wait()
