"""Receipts that say that nothing stored holds any more what a request has erased."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ifru.errors import IfruError
from ifru.snapshots import Erasure, Manifest, Purge, Reader, Store, erasures, newest_purge
from ifrud.requests.receipts import Receipt

INTERVAL = 10.0
"""Seconds between two looks at what was collected."""

CHUNK = 32
"""Ledgers that are read at one look: no event is read meanwhile."""

LIMIT = 10_000
"""Receipts with one version, more or less."""


class Purges:
    """Gathers the receipts that the next version takes along.

    store: one that fails at once. now: seconds, never going back. after: so long they wait for a version that comes
    anyway. failed(error): told that there are none for now, and why. receipts: those gathered. read: the version up to
    which ledgers were read for them.
    """

    def __init__(
        self, store: Store, now: Callable[[], float], after: float, failed: Callable[[IfruError], None]
    ) -> None:
        self._store, self._now, self._after, self._failed = store, now, after, failed
        self._due = self._since = now()
        self._purge: Purge | None = None
        self.receipts: Sequence[Receipt] = ()
        self.read = 0

    def hurry(self) -> None:
        """Something was collected: look at once."""
        self._due = self._now()

    def look(self, newest: Manifest) -> None:
        """Gather some more, if it is time to."""
        self.read = max(self.read, newest.purged)
        pending = self._purge is not None and self._purge.version > self.read
        if len(self.receipts) < LIMIT and (pending or self._now() >= self._due):
            try:
                self._look(pending)
            except IfruError as error:
                self._purge, self._due = None, self._now() + INTERVAL
                self._failed(error)

    def overdue(self) -> bool:
        """Whether a version has to be written for them alone."""
        return bool(self.receipts) and self._now() - self._since >= self._after

    def sent(self) -> None:
        """A version has taken them along."""
        self.receipts = ()

    def _look(self, pending: bool) -> None:
        if not pending:
            self._due = self._now() + INTERVAL
            self._purge = newest_purge(self._store)
        if self._purge is None or self._purge.version <= self.read:
            return
        last = min(self._purge.version, self.read + CHUNK)
        found = [_receipt(one, self._purge) for one in erasures(Reader(self._store), range(self.read + 1, last + 1))]
        if found and not self.receipts:
            self._since = self._now()
        self.receipts, self.read = (*self.receipts, *found), last


def _receipt(erasure: Erasure, purge: Purge) -> Receipt:
    return Receipt.of((erasure.source, erasure.request_id), "purged", erasure.version, purge.time, None)
