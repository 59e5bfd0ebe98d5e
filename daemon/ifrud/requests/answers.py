"""What the requests of a batch are answered: with their first receipt, with a new one, or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice

from ifru.engine.engine import UpdateFailed
from ifru.errors import RequestError
from ifru.interactions import Dataset, Deletion
from ifru.requests import Identity, Release, Request, resolve
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
    repeated: the first receipts of those that were. failed: those that the engine fails on. letters: for these, for
    what is no request, and for another one under a used id.
    """

    accepted: Sequence[Arrival]
    fresh: Mapping[Identity, tuple[Request, Event]]
    repeated: Mapping[Identity, Receipt]
    letters: Sequence[DeadLetter]
    failed: Mapping[Identity, Event] = field(default_factory=dict)

    @property
    def events(self) -> list[Event]:
        """Hashes and fingerprints of fresh requests and then of failed ones, in their order."""
        return [*(event for _, event in self.fresh.values()), *self.failed.values()]

    @property
    def duplicates(self) -> int:
        """How many requests were answered before, or stood in the batch before."""
        return len(self.accepted) - len(self.fresh) - len(self.failed)

    def split(self, count: int) -> tuple[Recognised, Recognised]:
        """The first so many fresh requests alone, and everything else."""
        first = dict(islice(self.fresh.items(), count))
        rest = {identity: one for identity, one in self.fresh.items() if identity not in first}
        of_first = [arrival for arrival in self.accepted if arrival.request.identity in first]
        of_rest = [arrival for arrival in self.accepted if arrival.request.identity not in first]
        return Recognised(of_first, first, {}, ()), replace(self, accepted=of_rest, fresh=rest)

    def with_failed(self, error: UpdateFailed, letters: Letters) -> Recognised:
        """The same, with the first fresh request among the failed ones, and a letter that says why."""
        identity, (_, event) = next(iter(self.fresh.items()))
        rest = {other: one for other, one in self.fresh.items() if other != identity}
        arrival = next(arrival for arrival in self.accepted if arrival.request.identity == identity)
        letter = letters.of(arrival.event, RequestError("engine", str(error)))
        return replace(self, fresh=rest, failed={**self.failed, identity: event}, letters=[*self.letters, letter])


def recognise(intake: Intake, answered: Answered, letters: Letters) -> Recognised:
    """Tell requests that are new from those that were answered. Of several with one identity the first counts."""
    accepted: list[Arrival] = []
    fresh: dict[Identity, tuple[Request, Event]] = {}
    repeated: dict[Identity, Receipt] = {}
    refused: list[DeadLetter] = []
    events = [answered.event(arrival.request) for arrival in intake.arrivals]
    for arrival, event, found in zip(intake.arrivals, events, answered.find(events), strict=True):
        request, identity = arrival.request, arrival.request.identity
        _, before = fresh.get(identity, (request, event))
        # What failed was not carried out; whoever sends it again wants that.
        again = found is not None and found.state == "failed" and found.fits(event)
        first = None if again else found
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

    states: of fresh requests and then of failed ones, in their order.
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
        identity: "published" if len(part) or isinstance(recognised.fresh[identity][0], Release) else "nothing_to_erase"
        for identity, part in parts.items()
    }
    failed: dict[Identity, ReceiptState] = dict.fromkeys(recognised.failed, "failed")
    return Answers(recognised, Deletion.union(parts.values()), states | failed)
