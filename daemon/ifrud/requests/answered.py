"""Which requests were answered before, and how: what manifests and ledgers say."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from ifru.requests import Identity
from ifru.snapshots import Manifest, NoVersion, Reader
from ifrud.requests.receipts import Receipt

_READERS = 8


class Answered:
    """Remembers the keyed hashes of requests in the newest `versions` versions; receipts are read when asked for."""

    def __init__(self, reader: Reader, newest: Manifest, versions: int) -> None:
        self._reader = reader
        self._versions = versions
        self._hashes: dict[int, Sequence[str]] = {}
        self._version_of: dict[str, int] = {}
        self._last_read: tuple[int, dict[Identity, Receipt]] = (0, {})
        older = range(max(1, newest.version - versions + 1), newest.version)
        with ThreadPoolExecutor(_READERS) as pool:
            for manifest in pool.map(self._manifest, older):
                if manifest is not None:
                    self.add(manifest)
        self.add(newest)

    def __len__(self) -> int:
        """Requests that are remembered."""
        return len(self._version_of)

    def add(self, manifest: Manifest) -> None:
        """Remember a version newer than those that are known, and forget the oldest where there are too many."""
        self._hashes[manifest.version] = manifest.hashes
        self._version_of |= dict.fromkeys(manifest.hashes, manifest.version)
        while len(self._hashes) > self._versions:
            for hashed in self._hashes.pop(next(iter(self._hashes))):
                del self._version_of[hashed]

    def receipt(self, request: Identity, hashed: str) -> Receipt | None:
        """What a request was answered; None where it is new, or its version was collected. Raises StoreError."""
        version = self._version_of.get(hashed)
        if version is None:
            return None
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
