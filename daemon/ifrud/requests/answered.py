"""Requests that were answered before."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from ifru.requests import Identity, Request
from ifru.snapshots import Event, Manifest, NoVersion, Reader, event_hash, fingerprint
from ifrud.requests.receipts import Receipt

_READERS = 8


class Answered:
    """Requests that were answered in the newest `versions` versions, by keyed hashes. Receipts are read on demand.

    key: of the hashes.
    """

    def __init__(self, reader: Reader, newest: Manifest, versions: int, key: bytes) -> None:
        self._reader = reader
        self._versions = versions
        self._key = key
        self._events: dict[int, Sequence[Event]] = {}
        self._known: dict[str, tuple[int, Event]] = {}
        self._last_read: tuple[int, dict[Identity, Receipt]] = (0, {})
        older = range(max(1, newest.version - versions + 1), newest.version)
        with ThreadPoolExecutor(_READERS) as pool:
            for manifest in pool.map(self._manifest, older):
                if manifest is not None:
                    self.add(manifest)
        self.add(newest)

    def add(self, manifest: Manifest) -> None:
        """Add a version newer than the known ones, and drop the oldest where there are too many."""
        self._events[manifest.version] = manifest.events
        self._known |= {event.hash: (manifest.version, event) for event in manifest.events}
        while len(self._events) > self._versions:
            for event in self._events.pop(next(iter(self._events))):
                del self._known[event.hash]

    def event(self, request: Request) -> Event:
        """The keyed hash and the fingerprint of a request."""
        return Event(hash=event_hash(self._key, *request.identity), fingerprint=fingerprint(self._key, request))

    def find(self, event: Event) -> Event | None:
        """What is known of a request's identity: the request that was answered under it."""
        found = self._known.get(event.hash)
        return None if found is None else found[1]

    def receipt(self, request: Identity, event: Event) -> Receipt | None:
        """The receipt that a request got; None where its version was collected. Raises StoreError."""
        version, _ = self._known[event.hash]
        if self._last_read[0] != version:
            self._last_read = (version, {receipt.request: receipt for receipt in self.receipts(version)})
        return self._last_read[1].get(request)

    def receipts(self, version: int) -> list[Receipt]:
        """The receipts that a version was published with; none where it was collected. Raises StoreError."""
        try:
            return [Receipt.read(line) for line in self._reader.receipts(version)]
        except NoVersion:
            return []

    def _manifest(self, version: int) -> Manifest | None:
        try:
            return self._reader.manifest(version)
        except NoVersion:
            return None
