"""Figures of the versions that another process has published, read from the store once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

from ifru.errors import IfruError
from ifru.snapshots import Manifest, Reader, Store
from ifrud.observe.recent import KEPT, Point

PAUSE = 0.02
"""Seconds between two manifests, so that the engine thread is never kept from its work for long."""


class Older:
    """open: a store of its own, so that nobody waits for this. They are read where somebody looks at them."""

    def __init__(self, open_: Callable[[], Store]) -> None:
        self._open = open_
        self._reading: threading.Thread | None = None
        self._complete = False
        self.points: tuple[Point, ...] = ()
        """What was read by now, the newest first."""

    def read(self, newest: int) -> tuple[Point, ...]:
        """What is known of a version and those before it; more is read meanwhile, on a thread of its own."""
        known = self.points
        if not self._complete and (self._reading is None or not self._reading.is_alive()):
            self._reading = threading.Thread(target=self._read, args=(newest,), name="older", daemon=True)
            self._reading.start()
        return known

    def join(self) -> None:
        """Returns when nothing is read any more."""
        if self._reading is not None:
            self._reading.join()

    def _read(self, newest: int) -> None:
        # What cannot be read now is tried again when the page is looked at again.
        with suppress(IfruError):
            reader = Reader(self._open())
            wait = threading.Event().wait
            points: list[Point] = []
            settled: float | None = None
            for version in range(newest, max(0, newest - KEPT), -1):
                entry = reader.entry(version)
                if not isinstance(entry, Manifest):
                    break
                points.append(Point.of(entry, settled))
                settled = entry.residual.settled
                self.points = tuple(points)
                wait(PAUSE)
            self._complete = True
