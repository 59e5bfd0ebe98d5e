"""What the requests of a batch are answered: with their first receipt, with a new one, or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ifru.errors import RequestError
from ifru.interactions import Dataset, Deletion
from ifru.requests import Identity, Request, resolve
from ifru.snapshots import Event
from ifrud.requests.answered import Answered
from ifrud.requests.dead_letters import DeadLetter, Letters
from ifrud.requests.intake import Arrival, Intake
from ifrud.requests.receipts import Receipt, ReceiptState

CONFLICT = RequestError(
    "id",
    "was used before, for a request that asks for something else; this one was not carried out. Give each sender a "
    "source of its own, and send it again",
)
"""Why a request is refused that has the source and the id of another one."""


@dataclass(frozen=True)
class Recognised:
    """The events of a batch, by what is known of them.

    accepted: requests that get a receipt. fresh: those of them that were never answered, with hash and fingerprint.
    repeated: the first receipts of those that were. letters: for what is no request, or another one under a used id.
    """

    accepted: Sequence[Arrival]
    fresh: Mapping[Identity, tuple[Request, Event]]
    repeated: Mapping[Identity, Receipt]
    letters: Sequence[DeadLetter]

    @property
    def events(self) -> list[Event]:
        """Hashes and fingerprints of fresh requests, in their order."""
        return [event for _, event in self.fresh.values()]

    @property
    def duplicates(self) -> int:
        """How many requests were answered before, or stood in the batch before."""
        return len(self.accepted) - len(self.fresh)


def recognise(intake: Intake, answered: Answered, letters: Letters) -> Recognised:
    """Tell requests that are new from those that were answered. Of several with one identity the first counts."""
    accepted: list[Arrival] = []
    fresh: dict[Identity, tuple[Request, Event]] = {}
    repeated: dict[Identity, Receipt] = {}
    refused: list[DeadLetter] = []
    events = [answered.event(arrival.request) for arrival in intake.arrivals]
    for arrival, event, first in zip(intake.arrivals, events, answered.find(events), strict=True):
        request, identity = arrival.request, arrival.request.identity
        _, before = fresh.get(identity, (request, event))
        same = before.fingerprint == event.fingerprint if first is None else first.fits(event)
        if not same:
            refused.append(letters.of(arrival.event, CONFLICT))
            continue
        accepted.append(arrival)
        if first is None:
            fresh.setdefault(identity, (request, event))
        elif identity not in repeated:
            repeated[identity] = Receipt.first(identity, first)
    return Recognised(accepted, fresh, repeated, [*intake.letters, *refused])


@dataclass(frozen=True)
class Answers:
    """What the fresh requests of a batch delete, and how each is answered.

    states: of fresh requests, in their order.
    """

    recognised: Recognised
    deletion: Deletion
    states: Mapping[Identity, ReceiptState]

    def receipts(self, version: int, time: datetime, residual: float | None) -> list[Receipt]:
        """A receipt for each request; those of `version` first, then the repeated ones."""
        new = [Receipt.of(request, state, version, time, residual) for request, state in self.states.items()]
        return [*new, *self.recognised.repeated.values()]

    def count(self, state: ReceiptState) -> int:
        return sum(answer == state for answer in self.states.values())


def answer(recognised: Recognised, dataset: Dataset) -> Answers:
    """Find the rows that fresh requests mean."""
    parts = {identity: resolve(request, dataset) for identity, (request, _) in recognised.fresh.items()}
    states: dict[Identity, ReceiptState] = {
        identity: "published" if len(part) else "nothing_to_erase" for identity, part in parts.items()
    }
    return Answers(recognised, Deletion.union(parts.values()), states)
