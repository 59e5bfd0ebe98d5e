"""Which versions are full: without the rows that the full version before still holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ifru.snapshots import Manifest, Reader, Version


@dataclass(frozen=True)
class FullVersions:
    """Of `every` versions one is full, and each that comes `after` the oldest erasure that a base still holds.

    utc: the time of day.
    """

    every: int
    after: timedelta
    utc: Callable[[], datetime]

    def due(self, newest: Manifest, erases: bool) -> bool:
        """Whether the version after the newest is full. erases: whether that one erases anything itself."""
        return newest.version + 1 - newest.base >= self.every or self._late(newest, erases)

    def overdue(self, newest: Manifest) -> bool:
        """Whether a full version is due that nothing but time asks for."""
        return self._late(newest, erases=False)

    def _late(self, newest: Manifest, erases: bool) -> bool:
        now = self.utc()
        oldest = newest.oldest_erasure or (now if erases else None)
        return oldest is not None and now - oldest >= self.after


def dated(newest: Version, reader: Reader) -> Version:
    """The newest version, with the time from which on its base may hold what was erased, where an older release did not
    say: that of the base. Raises NoVersion, CorruptFile, StoreError."""
    manifest, tables = newest.manifest, (newest.dataset.train, newest.dataset.holdout)
    if manifest.oldest_erasure is not None or all(table.retained == len(table) for table in tables):
        return newest
    since = reader.manifest(manifest.base).time
    return replace(newest, manifest=manifest.model_copy(update={"oldest_erasure": since}))
