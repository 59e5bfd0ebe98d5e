"""What can be seen of a daemon from outside: its receipts, its dead letters and its log."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np

from ifru.snapshots import Manifest, Reader, open_store
from ifrud.requests.receipts import Receipt
from ifrud.streams.sources.jsonl import JsonlSource
from ifrud_demo.process import Places

Kind = Literal["answer", "refinement", "proof"]
"""A version answers events, refines the model in idle time, or only adds the proof of what the one before holds."""

_LINES = 10_000
_LOOK_SECONDS = 0.005
"""How often the receipts are looked at: as exact are the latencies."""


@dataclass(frozen=True)
class Clock:
    """now: seconds, never going back. sleep: for some seconds."""

    now: Callable[[], float]
    sleep: Callable[[float], None]


@dataclass(frozen=True)
class Announced:
    """A version, as the daemon's log tells of it.

    deleted: rows. seconds: that the update took. settled, total: residual influences.
    """

    version: int
    kind: Kind
    deleted: int
    seconds: float
    settled: float
    total: float


@dataclass
class Seen:
    """Everything that was seen so far.

    events: to be sent in all. sent: event id -> when it was written. receipts: by request id, the first of each.
    latencies: seconds from before an event was written until its receipt was read. reasons: of dead letters.
    sentence: the newest line of the log.
    """

    events: int
    sent: dict[str, float] = field(default_factory=dict)
    receipts: dict[str, Receipt] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    published: list[Announced] = field(default_factory=list)
    ready: bool = False
    sentence: str = "the daemon loads its libraries and the model"
    newest: Manifest | None = None

    @property
    def answered(self) -> int:
        """Events that came to a receipt or to a dead letter."""
        return len(self.receipts) + len(self.reasons)

    @property
    def versions(self) -> dict[Kind, int]:
        """Versions of each kind. How many idle time makes depends on how busy the machine is."""
        kinds = [each.kind for each in self.published]
        return {kind: kinds.count(kind) for kind in get_args(Kind)}

    @property
    def last_answer(self) -> Announced:
        """The last version that answers events."""
        return next(each for each in reversed(self.published) if each.kind == "answer")

    @property
    def refinement(self) -> Announced | None:
        """The version that idle time has made of the last answer, if it has."""
        later = (each for each in reversed(self.published) if each.version > self.last_answer.version)
        return next((each for each in later if each.kind == "refinement"), None)

    @property
    def proof(self) -> Announced | None:
        """The newest version, where it carries a proof."""
        return self.published[-1] if self.published and self.published[-1].kind == "proof" else None

    @property
    def updates(self) -> list[float]:
        """Seconds of each update that deleted something."""
        return [each.seconds for each in self.published if each.deleted]

    def latency(self, percent: float) -> float | None:
        """Seconds within which so many percent of the receipts came."""
        return float(np.percentile(self.latencies, percent)) if self.latencies else None


class Watch:
    """Follows the daemon's files. seen: where it is put down. clock: the one that `seen.sent` goes by."""

    def __init__(self, places: Places, seen: Seen, clock: Clock) -> None:
        self._reader = Reader(open_store(places.store.as_uri()))
        self._seen = seen
        self._receipts, self._letters, self._log = (
            JsonlSource(path, clock=clock.now, wait=clock.sleep, interval=_LOOK_SECONDS)
            for path in (places.receipts, places.dead_letters, places.log)
        )

    def look(self, timeout: float) -> None:
        """Take in what has come; waits up to `timeout` seconds for receipts."""
        for event in self._receipts.poll(_LINES, timeout):
            receipt = Receipt.read(event.payload or b"")
            if receipt.request_id not in self._seen.receipts:
                self._seen.receipts[receipt.request_id] = receipt
                self._seen.latencies.append(event.received - self._seen.sent[receipt.request_id])
        for event in self._letters.poll(_LINES, 0):
            self._seen.reasons.append(json.loads(event.payload or b"{}")["reason"])
        for event in self._log.poll(_LINES, 0):
            self._take(event.payload or b"")

    def refresh(self) -> None:
        """Read the newest version's manifest."""
        self._seen.newest = self._reader.manifest(self._reader.newest())

    def _take(self, line: bytes) -> None:
        try:
            said: dict[str, Any] = json.loads(line)
        except ValueError:
            # What a library prints on its own is no log line of the daemon.
            self._seen.sentence = line.decode(errors="replace")
            return
        self._seen.sentence = str(said["event"])
        self._seen.ready = self._seen.ready or "positions" in said
        if "residual_influence" in said:
            spent = said["seconds"]
            self._seen.published.append(
                Announced(
                    version=said["version"],
                    kind="answer" if "events" in said else "refinement" if "refine" in spent else "proof",
                    deleted=said.get("deleted", 0),
                    seconds=spent.get("update", spent.get("refine", 0.0)),
                    settled=said["residual_influence"],
                    total=said["residual_influence_total"],
                )
            )
