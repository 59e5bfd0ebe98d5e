"""Approvals of requests that are held: what they release, and what is said of the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from ifru.errors import RequestError
from ifru.requests import Approve, Identity, Request
from ifru.snapshots import Event, event_hash
from ifrud.requests.answered import Answered
from ifrud.requests.answers import Recognised
from ifrud.requests.dead_letters import Letters
from ifrud.requests.held import HeldRequest
from ifrud.requests.intake import Arrival

UNKNOWN = RequestError(
    "request",
    "names a request that is not held and was never answered; nothing was approved. Take its id and source from the "
    "receipt that says `held`",
)
"""Why an approval is refused."""


def approve(
    recognised: Recognised,
    held: Mapping[Identity, HeldRequest],
    answered: Answered,
    letters: Letters,
    refusal: Callable[[Request], RequestError | None],
) -> Recognised:
    """Have requests carried out that fresh approvals name: those that are held, and those of the same batch.

    An approval of a request that was answered otherwise stays, and finds nothing to erase. Approvals come last: a
    process that dies between two parts of a batch must not leave an approval answered, and what it approves not.
    refusal(request): why a held one stays held: another model was adopted since, which has no answer to it.
    """
    approvals = {each: one for each, (one, _) in recognised.fresh.items() if isinstance(one, Approve)}
    if not approvals:
        return recognised
    fresh = {each: one for each, one in recognised.fresh.items() if each not in approvals}
    accepted, approved, unfit = list(recognised.accepted), dict[Identity, Request](), dict[Identity, RequestError]()
    events = {arrival.request.identity: arrival.event for arrival in accepted}
    for identity, approval in approvals.items():
        target = approval.approved
        if target in held and target not in fresh:
            request = held[target].request
            if (reason := refusal(request)) is not None:
                unfit[identity] = RequestError("request", f"names a held one that stays held; its {reason}")
                continue
            fresh[target] = request, held[target].event
            # A dead letter about it must hold what it asked for.
            payload = request.model_dump_json().encode()
            accepted.append(Arrival(request, replace(events[identity], payload=payload, key=None, headers=())))
        if target in fresh:
            approved[target] = fresh[target][0]
        elif answered.find([Event(hash=event_hash(answered.key, *target))]) == [None]:
            unfit[identity] = UNKNOWN
    refused = [letters.of(each.event, unfit[name]) for each in accepted if (name := each.request.identity) in unfit]
    return replace(
        recognised,
        accepted=[each for each in accepted if each.request.identity not in unfit],
        fresh=fresh | {each: recognised.fresh[each] for each in approvals if each not in unfit},
        repeated={each: receipt for each, receipt in recognised.repeated.items() if each not in fresh},
        letters=[*recognised.letters, *refused],
        approved=approved,
    )
