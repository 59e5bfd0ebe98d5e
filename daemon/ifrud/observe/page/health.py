"""What is wrong with the daemon, why it matters, and what to do: the alerts, without a Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from ifrud.observe.contact import Peer
from ifrud.observe.page.figures import Figures
from ifrud.observe.page.words import count, counted, moment, share, span
from ifrud.observe.recent import SLOW_SECONDS

Severity = Literal["failure", "warning"]

DEADLINE_NEAR = timedelta(days=1)
NO_PROGRESS = timedelta(minutes=10)
BEHIND_FOR = timedelta(minutes=10)
UNREFINED = timedelta(minutes=15)
LETTERS_NEW = timedelta(days=1)
LATENCY_WINDOW = timedelta(hours=1)
SLOW_SHARE = 0.144
STORED_SECONDS = 32 * 86400.0

_AWAY: dict[Peer, tuple[str, str, str]] = {
    "source": (
        "The source of requests does not answer",
        "No request is read.",
        "IfrudSourceAway",
    ),
    "store": (
        "The store does not answer",
        "Nothing can be published, so no request is answered.",
        "IfrudStoreAway",
    ),
    "receipts": (
        "Receipts cannot be sent",
        "The outbox of receipts takes nothing, and the daemon waits for it.",
        "IfrudOutboxAway",
    ),
    "dead_letters": (
        "Dead letters cannot be sent",
        "The outbox of dead letters takes nothing, and the daemon waits for it.",
        "IfrudOutboxAway",
    ),
}


@dataclass(frozen=True)
class Finding:
    """Something that is wrong. text: what it is, and why it matters. todo: what to do. runbook: its name."""

    severity: Severity
    title: str
    text: str
    todo: str
    runbook: str


def findings(seen: Figures) -> list[Finding]:
    """All that is wrong, failures first."""
    found = [*_engine(seen), *_away(seen), *_open(seen), *_progress(seen), *_forgetting(seen), *_letters(seen)]
    return sorted(found, key=lambda finding: finding.severity != "failure")


def _engine(seen: Figures) -> Iterator[Finding]:
    if seen.status.state != "starting" and seen.silence > seen.stalled_after:
        yield Finding(
            "failure",
            "The engine gives no sign of life",
            f"It has been silent for {span(seen.silence)}; {span(seen.stalled_after)} are allowed.",
            "Restart the daemon: nothing is lost, and nothing is done twice. Keep the end of its log.",
            "IfrudNoProgress",
        )


def _away(seen: Figures) -> Iterator[Finding]:
    for peer, since in seen.status.away.items():
        title, text, runbook = _AWAY[peer]
        when = "It has not answered since the start." if since is None else f"It last answered at {moment(since)}."
        todo = "Bring it back, or mend the network or the credentials: the daemon goes on by itself."
        yield Finding("failure", title, f"{text} {when}", todo, runbook)


def _open(seen: Figures) -> Iterator[Finding]:
    nearest, status = seen.nearest_deadline, seen.status
    if nearest is not None and nearest - seen.now < DEADLINE_NEAR:
        left = (nearest - seen.now).total_seconds()
        yield Finding(
            "failure",
            "A deadline has passed" if left < 0 else "A deadline is less than a day away",
            f"A request that was read and is not answered has to be answered by {moment(nearest)}: "
            + (f"that was {span(left)} ago." if left < 0 else f"{span(left)} are left."),
            "Decide it if it is held (ifrud approve, ifrud reject); else look what keeps the daemon from answering.",
            "IfrudDeadlineNear",
        )
    if status.held:
        since = seen.age(status.held_since)
        yield Finding(
            "warning",
            f"{counted(status.held, 'request waits', 'requests wait')} for a decision",
            f"The oldest {'' if since is None else f'has waited for {span(since)}: it '}{status.held_reason or ''}.",
            "Look whether they are meant, then ifrud approve or ifrud reject.",
            "IfrudRequestsHeld",
        )


def _progress(seen: Figures) -> Iterator[Finding]:
    waiting, behind = seen.age(seen.waiting_since), seen.age(seen.behind_since)
    if waiting is not None and waiting > NO_PROGRESS.total_seconds():
        yield Finding(
            "failure",
            "Requests wait, and none is answered",
            f"No batch was answered for {span(waiting)}, and the source holds {count(seen.status.lag)} more.",
            "Look at the end of the log: it says what the daemon waits for.",
            "IfrudNoProgress",
        )
    elif behind is not None and behind > BEHIND_FOR.total_seconds():
        yield Finding(
            "warning",
            "The daemon is behind",
            f"For {span(behind)} more has waited than one batch takes; now it is {count(seen.status.lag)}.",
            "Find out whether more comes than usual, or batches take longer.",
            "IfrudLag",
        )
    recent = [batch for batch in seen.answers if seen.now - batch.time < LATENCY_WINDOW]
    slow, answered = sum(batch.slow for batch in recent), sum(batch.requests for batch in recent)
    if answered and slow / answered > SLOW_SHARE:
        yield Finding(
            "warning",
            "Requests are answered slowly",
            f"{share(slow / answered)} of the last hour's requests waited for more than {span(SLOW_SECONDS)}.",
            "See in which stage the time goes: ifrud_stage_seconds, or the seconds of each version in the log.",
            "IfrudLatencyBurn",
        )


def _forgetting(seen: Figures) -> Iterator[Finding]:
    status = seen.status
    influence, tolerance = status.residual_influence, seen.value("ifrud_engine_tolerance")
    unrefined = seen.now - (status.last_version_time or status.started) > UNREFINED
    if influence is not None and tolerance is not None and influence > tolerance and unrefined:
        yield Finding(
            "warning",
            "The model keeps more of what it should have forgotten than the tolerance",
            f"{share(influence)} of the newest batch's influence is left; {share(tolerance)} is allowed.",
            "Switch refinement on, or train a new base version.",
            "IfrudResidualInfluence",
        )
    stored = seen.value("ifrud_oldest_erased_age_seconds")
    if stored is not None and stored > STORED_SECONDS:
        yield Finding(
            "warning",
            "Rows that were erased long ago are still stored",
            f"Old versions hold rows that were erased {span(stored)} ago.",
            "Collect old versions: ifru collect, or the setting collect.older_than.",
            "IfrudErasedStillStored",
        )


def _letters(seen: Figures) -> Iterator[Finding]:
    since, letters = seen.age(seen.letter), seen.dead_letters
    if since is not None and since < LETTERS_NEW.total_seconds() and letters:
        yield Finding(
            "warning",
            "Events went to the dead letters",
            f"The last {span(since)} ago. What somebody asked to be forgotten may be among them.",
            "Read them with ifrud dead-letters list, have the sender mend them, send them again.",
            "IfrudDeadLetters",
        )
