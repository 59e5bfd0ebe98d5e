"""What happened lately, for the status page: bounded, written by the engine thread, read by the admin port."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # The model's libraries take seconds to import, and `ifrud status` needs none of them.
    from ifru.requests import Request
    from ifru.snapshots import Manifest

KEPT = 60
"""So many of the newest versions and batches are remembered."""

SLOW_SECONDS = 30.0
"""A request that waits for longer is answered slowly."""

BEHIND = 10_000
"""More events than a batch takes by default, however many wait."""


@dataclass(frozen=True)
class Point:
    """The figures of one version. requests: which it answers. influence, bound: None where it has none.

    influence: residual influence of its batch, exact where that is known. bound: proven, on the RMS distance.
    """

    version: int
    time: datetime
    kind: str
    requests: int
    rows: int
    influence: float | None
    bound: float | None

    @staticmethod
    def of(manifest: Manifest, settled: float | None = None) -> Point:
        """settled: the exact residual influence, where it is known."""
        return Point(
            version=manifest.version,
            time=manifest.time,
            kind=manifest.kind,
            requests=len(manifest.events),
            rows=manifest.retained + manifest.holdout,
            influence=manifest.residual.influence if settled is None else settled,
            bound=manifest.quality.get("rms_bound"),
        )


@dataclass(frozen=True)
class Answered:
    """Requests that were answered together. median, longest: seconds from being read; slow: above SLOW_SECONDS."""

    time: datetime
    requests: int
    median: float
    longest: float
    slow: int


class Recent:
    """Each attribute is replaced whole and never changed, so any thread may read it at any time.

    deadlines: of all requests that were read and are not answered, None for those without one.
    letter: when the last dead letter was sent. waiting_since: since when events wait and nothing is answered.
    behind_since: since when more than BEHIND of them wait.
    """

    def __init__(self) -> None:
        self.versions: tuple[Point, ...] = ()
        self.answers: tuple[Answered, ...] = ()
        self.deadlines: tuple[datetime | None, ...] = ()
        self.letter: datetime | None = None
        self.waiting_since: datetime | None = None
        self.behind_since: datetime | None = None

    def shown(self, manifest: Manifest, settled: float | None) -> None:
        """A version is the newest."""
        before = [point for point in self.versions if point.version < manifest.version]
        self.versions = (*before[1 - KEPT :], Point.of(manifest, settled))

    def answered(self, latencies: Sequence[float], letters: int, now: datetime) -> None:
        """The receipts of a batch are durable. latencies: of its requests, in seconds."""
        if latencies:
            slow = sum(seconds > SLOW_SECONDS for seconds in latencies)
            batch = Answered(now, len(latencies), median(latencies), max(latencies), slow)
            self.answers = (*self.answers[1 - KEPT :], batch)
        if letters:
            self.letter = now
        self.waiting_since = None

    def open(self, requests: Iterable[Request]) -> None:
        """All requests that are open now."""
        self.deadlines = tuple(request.deadline for request in requests)

    def lag(self, lag: int | None, now: datetime) -> None:
        """So many events wait; None where that is not known."""
        self.waiting_since = (self.waiting_since or now) if lag else None
        self.behind_since = (self.behind_since or now) if lag and lag > BEHIND else None
