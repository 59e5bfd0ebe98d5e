"""What the requests of a batch are answered: with their first receipt, with a new one, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice

from ifru.engine.engine import UpdateFailed
from ifru.errors import RequestError
from ifru.interactions import Dataset, Deletion
from ifru.requests import Approve, Decision, Identity, Reject, Release, Request, near_miss, resolve
from ifru.snapshots import Event, State
from ifrud.requests.answered import Answered
from ifrud.requests.brake import Brake, Verdict
from ifrud.requests.dead_letters import DeadLetter, Letters
from ifrud.requests.held import NOTHING_HELD, HeldRequest
from ifrud.requests.intake import Arrival, Intake
from ifrud.requests.overtaken import Overtaken
from ifrud.requests.receipts import AnswerState, Receipt

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
    what is no request, what the data has no answer to, and another one under a used id. ignored: how many events of
    the batch ask for nothing. approved: requests that approvals of the batch name. rejected: those that are rejected
    in it; they are among the failed ones where the whole batch is answered.
    """

    accepted: Sequence[Arrival]
    fresh: Mapping[Identity, tuple[Request, Event]]
    repeated: Mapping[Identity, Receipt]
    letters: Sequence[DeadLetter]
    failed: Mapping[Identity, Event] = field(default_factory=dict)
    ignored: int = 0
    approved: Mapping[Identity, Request] = field(default_factory=dict)
    rejected: Collection[Identity] = ()

    @property
    def asks_nothing(self) -> bool:
        """Whether there is nobody to answer, and nothing to answer for."""
        return not self.accepted and not self.letters

    @property
    def events(self) -> list[Event]:
        """Hashes and fingerprints of fresh requests and then of failed ones, in their order."""
        return [*(event for _, event in self.fresh.values()), *self.failed.values()]

    @property
    def duplicates(self) -> int:
        """How many requests were answered before, or stood in the batch before."""
        return len(self.accepted) - len(self.fresh) - len(self.failed)

    @property
    def free(self) -> list[Identity]:
        """Fresh requests that the brake does not hold."""
        fresh = self.fresh.items()
        return [each for each, (request, _) in fresh if each in self.approved or isinstance(request, Decision)]

    def meant(self, request: Request) -> Request:
        """What is to be erased for a request: by an approval the same as by what it approves."""
        return self.approved.get(request.named, request) if isinstance(request, Approve) else request

    def split(self, count: int) -> tuple[Recognised, Recognised]:
        """The first so many fresh requests alone, and everything else."""
        first = dict(islice(self.fresh.items(), count))
        rest = {identity: one for identity, one in self.fresh.items() if identity not in first}
        of_first = [arrival for arrival in self.accepted if arrival.request.identity in first]
        of_rest = [arrival for arrival in self.accepted if arrival.request.identity not in first]
        alone = Recognised(of_first, first, {}, (), approved=self.approved, rejected=self.rejected)
        return alone, replace(self, accepted=of_rest, fresh=rest)

    def with_failed(self, error: UpdateFailed, letters: Letters) -> Recognised:
        """The same, with the first fresh request among the failed ones, and a letter that says why."""
        identity, (_, event) = next(iter(self.fresh.items()))
        rest = {other: one for other, one in self.fresh.items() if other != identity}
        arrival = next(arrival for arrival in self.accepted if arrival.request.identity == identity)
        letter = letters.of(arrival.event, RequestError("engine", str(error)))
        return replace(self, fresh=rest, failed={**self.failed, identity: event}, letters=[*self.letters, letter])


def recognise(
    intake: Intake,
    answered: Answered,
    letters: Letters,
    refusal: Callable[[Request], RequestError | None],
    held: Mapping[Identity, HeldRequest] = NOTHING_HELD,
) -> Recognised:
    """Tell requests that are new from those that were answered. Of several with one identity the first counts.

    refusal(request): why a new one is a dead letter all the same; None where it is not.
    """
    accepted: list[Arrival] = []
    fresh: dict[Identity, tuple[Request, Event]] = {}
    repeated: dict[Identity, Receipt] = {}
    refused: list[DeadLetter] = []
    events = [answered.event(arrival.request) for arrival in intake.arrivals]
    for arrival, event, last in zip(intake.arrivals, events, answered.find(events), strict=True):
        request, identity = arrival.request, arrival.request.identity
        found = held[identity].answer if identity in held else last
        _, before = fresh.get(identity, (request, event))
        # What failed was not carried out; whoever sends it again wants that.
        again = found is not None and found.state == "failed" and found.fits(event)
        first = None if again else found
        same = before.fingerprint == event.fingerprint if first is None else first.fits(event)
        reason = CONFLICT if not same else refusal(request) if first is None else None
        if reason is not None:
            refused.append(letters.of(arrival.event, reason))
            continue
        accepted.append(arrival)
        if first is None:
            fresh.setdefault(identity, (request, event))
        elif identity not in repeated:
            repeated[identity] = held[identity].receipt if identity in held else Receipt.first(identity, first)
    return Recognised(accepted, fresh, repeated, [*intake.letters, *refused], ignored=intake.ignored)


@dataclass(frozen=True)
class Answers:
    """What the fresh requests of a batch delete, and how each is answered.

    states: of fresh requests, then of failed ones, then of held ones that others have emptied, in their order. verdict:
    of the brake. emptied: those held ones. overtaken: what others have erased of held requests. near_misses: those that
    mean no rows, but would if an id were spelt otherwise. parts: the rows that each fresh request means.
    """

    recognised: Recognised
    deletion: Deletion
    states: Mapping[Identity, AnswerState]
    verdict: Verdict
    emptied: Mapping[Identity, HeldRequest]
    overtaken: Overtaken
    near_misses: Collection[Identity] = ()
    parts: Mapping[Identity, Deletion] = field(default_factory=dict)

    @property
    def events(self) -> list[Event]:
        """Hashes and fingerprints of what is answered, in the order of the states."""
        return [*self.recognised.events, *(each.event for each in self.emptied.values())]

    @property
    def suppressed(self) -> list[Request]:
        """Requests that put somebody on the suppression list, or take them off it, in their order."""
        emptied = [each.request for each in self.emptied.values()]
        fresh = self.recognised.fresh.items()
        answered = [one for each, (one, _) in fresh if self.states[each] not in ("failed", "held")]
        return [*emptied, *self.overtaken.left_out, *answered]

    @property
    def remembered(self) -> dict[Identity, State]:
        """The states, as they are remembered."""
        return {**self.states, **dict.fromkeys(self.near_misses, "near_miss"), **dict.fromkeys(self.granted, "granted")}

    @property
    def granted(self) -> list[Identity]:
        """Those that were carried out and erase nothing themselves."""
        fresh = self.recognised.fresh.items()
        permits = [each for each, (request, _) in fresh if isinstance(request, Decision | Release)]
        return [each for each in permits if self.states[each] == "published"]

    def receipts(self, version: int, time: datetime, residual: float | None) -> list[Receipt]:
        """A receipt for each request; those of `version` first, then the repeated ones."""
        held, states = self.verdict.held, self.remembered.items()
        new = [Receipt.of(each, state, version, time, residual, held.get(each)) for each, state in states]
        repeated = self.recognised.repeated.items()
        return [*new, *(receipt for each, receipt in repeated if each not in self.emptied)]

    def braked(self, brake: Brake, version: int, now: datetime) -> Brake:
        """The brake after the version that gives these answers."""
        fresh = self.recognised.fresh
        held = {each: HeldRequest(*fresh[each], version, now, reason) for each, reason in self.verdict.held.items()}
        return brake.after(held, self.states.keys(), self.verdict.counted, now, self.overtaken.shortened)

    def count(self, state: AnswerState) -> int:
        return sum(answer == state for answer in self.states.values())


def answer(recognised: Recognised, dataset: Dataset, brake: Brake, now: datetime) -> Answers:
    """Find the rows that fresh requests mean, and which of them are held."""
    fresh = recognised.fresh.items()
    parts = {identity: resolve(recognised.meant(request), dataset) for identity, (request, _) in fresh}
    verdict = brake.judge(parts, recognised.free, dataset, now)
    held, deletion = verdict.held, verdict.deletion
    states: dict[Identity, AnswerState] = {
        identity: "held"
        if identity in held
        else "published"
        if len(part) or _is_done(recognised.fresh[identity][0], recognised)
        else "nothing_to_erase"
        for identity, part in parts.items()
    }
    failed: dict[Identity, AnswerState] = dict.fromkeys(recognised.failed, "failed")
    near = [
        identity
        for identity, state in states.items()
        if state == "nothing_to_erase" and near_miss(recognised.fresh[identity][0], dataset)
    ]
    # What is decided about in another part of the batch is answered there.
    decided = {*parts, *recognised.approved, *recognised.rejected}
    waiting = {each: one.request for each, one in brake.held.items() if each not in decided}
    new = {identity: recognised.fresh[identity][0] for identity in held}
    overtaken = Overtaken.of(waiting, new, deletion, dataset)
    emptied = {identity: brake.held[identity] for identity in overtaken.emptied}
    nothing: dict[Identity, AnswerState] = dict.fromkeys(emptied, "nothing_to_erase")
    return Answers(recognised, deletion, states | failed | nothing, verdict, emptied, overtaken, near, parts)


def _is_done(request: Request, recognised: Recognised) -> bool:
    """Whether a request that means no rows has done what it asks for."""
    return isinstance(request, Release) or (isinstance(request, Reject) and request.named in recognised.rejected)
