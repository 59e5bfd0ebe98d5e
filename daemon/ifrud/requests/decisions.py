"""Decisions about requests that are held: what they release or end, and what is said of the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from ifru.errors import RequestError
from ifru.requests import Approve, Decision, Identity, Request
from ifru.snapshots import Event, event_hash
from ifrud.requests.answered import Answered
from ifrud.requests.answers import Recognised
from ifrud.requests.dead_letters import DeadLetter, Letters
from ifrud.requests.held import HeldRequest
from ifrud.requests.intake import Arrival

UNKNOWN = RequestError(
    "request",
    "names a request that is not held and was never answered; nothing was decided. Take its id and source from the "
    "receipt that says `held`",
)
"""Why a decision is refused."""

REJECTED = RequestError(
    "rejected",
    "by an operator: it was held, because it would have erased much, and is not carried out. Sent again, it is held "
    "again",
)
"""What is said to whoever sent a request that is rejected."""


def decide(
    recognised: Recognised,
    held: Mapping[Identity, HeldRequest],
    answered: Answered,
    letters: Letters,
    refusal: Callable[[Request], RequestError | None],
) -> Recognised:
    """Have requests carried out, or failed, that fresh decisions name: those that are held, and of the same batch.

    Of two decisions about one request the first holds. One about a request that was answered otherwise stays, and finds
    nothing to do. Decisions come last: a process that dies between two parts of a batch must not leave one answered,
    and what it is about not. refusal(request): why a held one cannot be approved: another model was adopted since,
    which has no answer to it.
    """
    decisions = {each: one for each, (one, _) in recognised.fresh.items() if isinstance(one, Decision)}
    if not decisions:
        return recognised
    found = _Decided(recognised, decisions, held, letters)
    for identity, decision in decisions.items():
        if decision.named in found.decided:
            continue
        if decision.named not in found.fresh and decision.named not in held:
            if answered.find([Event(hash=event_hash(answered.key, *decision.named))]) == [None]:
                found.unfit[identity] = UNKNOWN
        elif isinstance(decision, Approve):
            found.approve(identity, decision.named, refusal)
        else:
            found.reject(identity, decision.named)
    return found.recognised()


class _Decided:
    """Requests of a batch while decisions are gone through. fresh: without decisions. unfit: why some are refused."""

    def __init__(
        self,
        recognised: Recognised,
        decisions: Mapping[Identity, Decision],
        held: Mapping[Identity, HeldRequest],
        letters: Letters,
    ) -> None:
        self._before, self._decisions, self._held, self._letters = recognised, decisions, held, letters
        self.fresh = {each: one for each, one in recognised.fresh.items() if each not in decisions}
        self.unfit: dict[Identity, RequestError] = {}
        self._accepted = list(recognised.accepted)
        self._approved: dict[Identity, Request] = {}
        self._rejected: dict[Identity, Event] = {}

    @property
    def decided(self) -> set[Identity]:
        return {*self._approved, *self._rejected}

    def approve(self, by: Identity, name: Identity, refusal: Callable[[Request], RequestError | None]) -> None:
        if name not in self.fresh:
            if (reason := refusal(self._held[name].request)) is not None:
                self.unfit[by] = RequestError("request", f"names a held one that stays held; its {reason}")
                return
            self._arrive(by, name)
        self._approved[name] = self.fresh[name][0]

    def reject(self, by: Identity, name: Identity) -> None:
        if name not in self.fresh:
            self._arrive(by, name)
        self._rejected[name] = self.fresh.pop(name)[1]

    def recognised(self) -> Recognised:
        """The batch with what was decided."""
        fresh = self.fresh | {each: self._before.fresh[each] for each in self._decisions if each not in self.unfit}
        known = {**fresh, **self._rejected}
        return replace(
            self._before,
            accepted=[each for each in self._accepted if each.request.identity not in self.unfit],
            fresh=fresh,
            failed={**self._before.failed, **self._rejected},
            repeated={each: receipt for each, receipt in self._before.repeated.items() if each not in known},
            letters=[*self._before.letters, *self._told()],
            approved=self._approved,
            rejected=tuple(self._rejected),
        )

    def _arrive(self, by: Identity, name: Identity) -> None:
        """A held request comes with the event of the decision; a dead letter about it must hold what it asked for."""
        request = self._held[name].request
        self.fresh[name] = request, self._held[name].event
        event = next(each.event for each in self._accepted if each.request.identity == by)
        payload = request.model_dump_json().encode()
        self._accepted.append(Arrival(request, replace(event, payload=payload, key=None, headers=())))

    def _told(self) -> list[DeadLetter]:
        """Dead letters for decisions that name nothing, each time they came, and one for each rejected request."""
        told = [
            self._letters.of(each.event, self.unfit[name])
            for each in self._accepted
            if (name := each.request.identity) in self.unfit
        ]
        events = {each.request.identity: each.event for each in self._accepted}
        return [*told, *(self._letters.of(events[name], REJECTED) for name in self._rejected)]
