"""What requests are answered: which were answered before, and which rows the new ones delete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from ifru.interactions import Dataset, Deletion
from ifru.requests import Identity, resolve
from ifru.snapshots import Manifest, NoVersion, Reader, event_hash
from ifrud.requests.intake import Arrival
from ifrud.requests.receipts import Receipt, ReceiptState

_READERS = 8


class Answered:
    """Requests that were answered in the newest `versions` versions, by keyed hashes. Receipts are read on demand.

    key: of the hashes.
    """

    def __init__(self, reader: Reader, newest: Manifest, versions: int, key: bytes) -> None:
        self._reader = reader
        self._versions = versions
        self._key = key
        self._hashes: dict[int, Sequence[str]] = {}
        self._version_of: dict[str, int] = {}
        self._last_read: tuple[int, dict[Identity, Receipt]] = (0, {})
        older = range(max(1, newest.version - versions + 1), newest.version)
        with ThreadPoolExecutor(_READERS) as pool:
            for manifest in pool.map(self._manifest, older):
                if manifest is not None:
                    self.add(manifest)
        self.add(newest)

    def add(self, manifest: Manifest) -> None:
        """Add a version newer than the known ones, and drop the oldest where there are too many."""
        self._hashes[manifest.version] = manifest.hashes
        self._version_of |= dict.fromkeys(manifest.hashes, manifest.version)
        while len(self._hashes) > self._versions:
            for hashed in self._hashes.pop(next(iter(self._hashes))):
                del self._version_of[hashed]

    def hashed(self, request: Identity) -> str:
        """The keyed hash of a request."""
        return event_hash(self._key, *request)

    def receipt(self, request: Identity, hashed: str) -> Receipt | None:
        """The receipt that a request got; None where it is new, or its version was collected. Raises StoreError."""
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


@dataclass(frozen=True)
class Answers:
    """What the requests of a batch delete, and how each is answered.

    fresh: request -> state, for requests that were never answered before; hashes: their keyed hashes, same order.
    repeated: the first receipts of requests that were. again: how many requests stood twice in the batch.
    """

    deletion: Deletion
    fresh: Mapping[Identity, ReceiptState]
    hashes: Sequence[str]
    repeated: Sequence[Receipt]
    again: int

    def receipts(self, version: int, time: datetime, residual: float | None) -> list[Receipt]:
        """A receipt for each request; those of `version` first, then the repeated ones."""
        new = [
            Receipt.of(request, state, version, time, residual if state == "published" else None)
            for request, state in self.fresh.items()
        ]
        return [*new, *self.repeated]

    def count(self, state: ReceiptState) -> int:
        return sum(answer == state for answer in self.fresh.values())


def answer(arrivals: Sequence[Arrival], dataset: Dataset, answered: Answered) -> Answers:
    """Find the rows that requests mean. Raises StoreError."""
    fresh: dict[Identity, ReceiptState] = {}
    hashes: list[str] = []
    repeated: dict[Identity, Receipt] = {}
    parts: list[Deletion] = []
    for arrival in arrivals:
        request = arrival.request.identity
        if request in fresh or request in repeated:
            continue
        hashed = answered.hashed(request)
        receipt = answered.receipt(request, hashed)
        if receipt is not None:
            repeated[request] = receipt
            continue
        part = resolve(arrival.request, dataset)
        parts.append(part)
        hashes.append(hashed)
        fresh[request] = "published" if len(part) else "nothing_to_erase"
    again = len(arrivals) - len(fresh) - len(repeated)
    return Answers(Deletion.union(parts), fresh, hashes, list(repeated.values()), again)
