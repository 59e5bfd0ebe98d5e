"""Which requests of a batch are new, what they delete, and what they are answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ifru.interactions import Dataset, Deletion
from ifru.requests import Identity, resolve
from ifrud.requests.answered import Answered
from ifrud.requests.intake import Arrival
from ifrud.requests.receipts import Receipt, ReceiptState


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
