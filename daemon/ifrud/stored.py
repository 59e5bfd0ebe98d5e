"""How many versions lie in the store, and how old what was erased is and is in one of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from ifru.errors import IfruError
from ifru.snapshots import Manifest, Reader, Store, newest_purge

INTERVAL = 10.0
"""Seconds between two looks."""

CHUNK = 64
"""Manifests that are read at one look: no event is read meanwhile."""


class Stored:
    """Finds the oldest version that is left, and the oldest erasure whose rows some version still holds.

    store: one that fails at once. now: seconds, never going back. utc: the time of day.
    """

    def __init__(self, store: Store, now: Callable[[], float], utc: Callable[[], datetime]) -> None:
        self._store, self._now, self._utc = store, now, utc
        self._due = now()
        # When the oldest was erased, and by which version.
        self._oldest: tuple[datetime, int] | None = None
        # Up to this version none was found, and so many rows are left in it; None where it was collected.
        self._searched = 1
        self._rows: int | None = None
        self._complete = False
        self.versions = math.nan
        """So many there are; NaN while that is not known."""

    def age(self) -> float:
        """Seconds; 0 where nothing erased is stored, NaN while that is not known."""
        if self._oldest is not None:
            return max(0.0, (self._utc() - self._oldest[0]).total_seconds())
        return 0.0 if self._complete else math.nan

    def hurry(self) -> None:
        """Something was collected: look at once."""
        self._due = self._now()

    def look(self, newest: Manifest) -> None:
        """Read on in the manifests, if it is time to."""
        if self._now() >= self._due:
            self._due = self._now() + INTERVAL
            # A gauge is not worth a stop: the next look tries again.
            with suppress(IfruError):
                self._look(newest)

    def _look(self, newest: Manifest) -> None:
        purge = newest_purge(self._store)
        purged = 1 if purge is None else purge.version
        self.versions = newest.version - purged + 1
        if self._oldest is not None and self._oldest[1] <= purged:
            self._oldest, self._complete = None, False
        if self._searched < purged:
            self._searched, self._rows = purged, None
        reader, last = Reader(self._store), min(newest.version, self._searched + CHUNK)
        for version in range(self._searched, last + 1):
            if self._oldest is not None:
                return
            entry = newest if version == newest.version else reader.entry(version)
            before, self._rows = self._rows, None
            self._searched = version
            if isinstance(entry, Manifest):
                self._rows = entry.retained + entry.holdout
                # Another label erases the one before, and leaves as many rows.
                if entry.oldest_erasure is not None:
                    self._oldest = entry.oldest_erasure, version
                elif before is not None and self._rows < before:
                    self._oldest = entry.time, version
        self._complete = self._searched == newest.version
