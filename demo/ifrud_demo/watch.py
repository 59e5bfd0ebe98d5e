"""What can be seen of a daemon from outside: its receipts, its dead letters and its log."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from ifru.snapshots import Manifest, Reader, open_store
from ifrud.requests.receipts import Receipt
from ifrud.streams.sources.jsonl import JsonlSource
from ifrud_demo.process import Files

Kind = Literal["answer", "refinement", "proof"]
"""A version answers events, refines the model in idle time, or only adds a proof to the version before it."""

_LINES = 10_000
_LOOK_SECONDS = 0.005
"""How often the receipts are looked at, which is how exact the latencies are."""


@dataclass(frozen=True)
class LoggedVersion:
    """A version, by the daemon's log. deleted: rows. seconds: of its update. settled, total: residual influences."""

    version: int
    kind: Kind
    deleted: int
    seconds: float
    settled: float
    total: float


@dataclass
class Seen:
    """What is known of the daemon so far.

    events: to be sent in all. sent: event id -> when it was written. receipts: by request id, the first of each.
    latencies: seconds from before an event was written until its receipt was read. reasons: of dead letters.
    sentence: the newest line of the log. newest: the newest version's manifest.
    """

    events: int
    sent: dict[str, float] = field(default_factory=dict)
    receipts: dict[str, Receipt] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    versions: list[LoggedVersion] = field(default_factory=list)
    ready: bool = False
    sentence: str = "the daemon loads its libraries and the model"
    newest: Manifest | None = None

    @property
    def answered(self) -> int:
        """Events that came to a receipt or to a dead letter."""
        return len(self.receipts) + len(self.reasons)

    @property
    def counts(self) -> dict[Kind, int]:
        """Versions of each kind. How many idle time makes depends on how busy the machine is."""
        kinds = [each.kind for each in self.versions]
        return {kind: kinds.count(kind) for kind in get_args(Kind)}

    @property
    def last_answer(self) -> LoggedVersion:
        """The last version that answers events."""
        return next(each for each in reversed(self.versions) if each.kind == "answer")

    @property
    def refinement(self) -> LoggedVersion | None:
        """The version that idle time has made of the last answer, if it has."""
        later = self.versions[self.versions.index(self.last_answer) :]
        return next((each for each in reversed(later) if each.kind == "refinement"), None)

    @property
    def proven(self) -> bool:
        """Whether the newest version carries a proof."""
        return bool(self.versions) and self.versions[-1].kind == "proof"

    @property
    def updates(self) -> list[float]:
        """Seconds of each update that deleted something."""
        return [each.seconds for each in self.versions if each.deleted]

    def latency(self, percent: float) -> float | None:
        """Seconds within which so many percent of the receipts came."""
        return float(np.percentile(self.latencies, percent)) if self.latencies else None


class Watch:
    """Follows the daemon's files, and adds to `seen` what is new. now: the clock that `seen.sent` goes by."""

    def __init__(self, files: Files, seen: Seen, now: Callable[[], float]) -> None:
        self.seen = seen
        self.now = now
        self._reader = Reader(open_store(files.store.as_uri()))
        self._receipts, self._letters, self._log = (
            JsonlSource(path, clock=now, wait=time.sleep, interval=_LOOK_SECONDS)
            for path in (files.receipts, files.dead_letters, files.log)
        )

    def look(self, timeout: float) -> None:
        """Read what is new; waits up to `timeout` seconds for receipts."""
        for event in self._receipts.poll(_LINES, timeout):
            receipt = Receipt.read(event.payload or b"")
            if receipt.request_id not in self.seen.receipts:
                self.seen.receipts[receipt.request_id] = receipt
                self.seen.latencies.append(event.received - self.seen.sent[receipt.request_id])
        for event in self._letters.poll(_LINES, 0):
            self.seen.reasons.append(json.loads(event.payload or b"{}")["reason"])
        for event in self._log.poll(_LINES, 0):
            self._read_log(event.payload or b"")

    def refresh(self) -> None:
        """Read the newest version's manifest."""
        self.seen.newest = self._reader.manifest(self._reader.newest())

    def _read_log(self, line: bytes) -> None:
        try:
            said = json.loads(line)
        except ValueError:
            # A library may print lines that are not the daemon's log.
            self.seen.sentence = line.decode(errors="replace")
            return
        self.seen.sentence = str(said["event"])
        self.seen.ready = self.seen.ready or "positions" in said
        if "residual_influence" in said:
            spent = said["seconds"]
            self.seen.versions.append(
                LoggedVersion(
                    version=said["version"],
                    kind="answer" if "events" in said else "refinement" if "refine" in spent else "proof",
                    deleted=said.get("deleted", 0),
                    seconds=spent.get("update", spent.get("refine", 0.0)),
                    settled=said["residual_influence"],
                    total=said["residual_influence_total"],
                )
            )
