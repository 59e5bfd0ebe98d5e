"""What the status page shows, taken at one moment."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime

from prometheus_client import CollectorRegistry

from ifrud.observe.contact import Peer
from ifrud.observe.recent import KEPT, Answered, Point
from ifrud.observe.status import Board, Status

DEAD_LETTERS = "ifrud_dead_letters_total"


@dataclass(frozen=True)
class Figures:
    """silence: seconds without a sign of the engine thread, which counts as dead after `stalled_after`.

    samples: of the metrics, by name and label values. answered_by: those that answer.
    letter: when the last dead letter was sent.
    waiting_since: since when events wait and none is answered. behind_since: since when there are too many.
    """

    now: datetime
    status: Status
    ready: bool
    silence: float
    stalled_after: float
    samples: Mapping[tuple[str, ...], float]
    answered_by: Set[Peer]
    versions: Sequence[Point]
    answers: Sequence[Answered]
    deadlines: Sequence[datetime | None]
    letter: datetime | None
    waiting_since: datetime | None
    behind_since: datetime | None

    @staticmethod
    def of(board: Board, registry: CollectorRegistry, stalled_after: float, older: Sequence[Point]) -> Figures:
        """older: figures of versions that the board may not know any more."""
        recent = board.recent
        known = {point.version: point for point in (*older, *recent.versions)}
        return Figures(
            now=board.utc(),
            status=board.status,
            ready=board.ready,
            silence=board.silence(),
            stalled_after=stalled_after,
            samples={
                (sample.name, *sample.labels.values()): sample.value
                for family in registry.collect()
                for sample in family.samples
            },
            answered_by={peer for peer, contact in board.contacts.items() if contact.connected == 1},
            versions=[known[version] for version in sorted(known)[-KEPT:]],
            answers=recent.answers,
            deadlines=recent.deadlines,
            letter=recent.letter,
            waiting_since=recent.waiting_since,
            behind_since=recent.behind_since,
        )

    def value(self, *sample: str) -> float | None:
        """A metric by its name and label values; None while it is not known."""
        found = self.samples.get(sample, math.nan)
        return None if math.isnan(found) else found

    def age(self, time: datetime | None) -> float | None:
        """Seconds since a time."""
        return None if time is None else (self.now - time).total_seconds()

    @property
    def nearest_deadline(self) -> datetime | None:
        """Of the requests that are open."""
        return min((deadline for deadline in self.deadlines if deadline is not None), default=None)

    @property
    def dead_letters(self) -> dict[str, int]:
        """Field that was wrong -> dead letters since the start, the most frequent first."""
        counts = {sample[1]: int(count) for sample, count in self.samples.items() if sample[0] == DEAD_LETTERS}
        return dict(sorted(((field, count) for field, count in counts.items() if count), key=lambda each: -each[1]))
