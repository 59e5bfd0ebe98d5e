"""Looks at the store while nothing is published: whether it answers, still has the newest version, and no newer one."""

from __future__ import annotations

from collections.abc import Callable

from ifru.snapshots import CommitLost, Manifest, NoVersion, Reader, Store, StoreError
from ifru.snapshots.format import manifest_path

INTERVAL = 10.0
"""Seconds between two looks at a store that answers."""

AGAIN = 1.0
"""Seconds until the next look at one that did not."""


class Lookout:
    """store: one that fails at once. now: seconds, never going back."""

    def __init__(self, store: Store, now: Callable[[], float]) -> None:
        self._store = store
        self._now = now
        self._due = now() + INTERVAL

    def look(self, newest: Manifest) -> None:
        """Ask the store for `newest` and the version after it, if it is time to.

        Raises CommitLost where there is a newer one, HistoryReplaced where the newest is gone.
        """
        if self._now() < self._due:
            return
        try:
            self._ask(newest)
        except StoreError:
            self._due = self._now() + AGAIN
        else:
            self._due = self._now() + INTERVAL

    def _ask(self, newest: Manifest) -> None:
        reader, version = Reader(self._store), newest.version + 1
        reader.check_kept(newest)
        if not self._store.exists(manifest_path(version)):
            return
        try:
            attempt = reader.manifest(version).attempt
        except NoVersion:
            attempt = None
        raise CommitLost(version, attempt)
