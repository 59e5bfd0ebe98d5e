"""Requests that were answered, as columns: enough to repeat a receipt without reading anything.

Axes: N requests, in the order of their hashes; V versions that answered them, ascending; M requests that are looked up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ifru.interactions.table import Int64
from ifru.snapshots.parts import Event, File, Segment

State = Literal["published", "nothing_to_erase", "failed", "held", "purged"]
STATES: Final[tuple[State, ...]] = get_args(State)
SEGMENT_REQUESTS: Final = 1 << 20
"""Segments are merged up to this size. It bounds what one version has to write, and the memory that this takes."""

STATE_BITS: Final = 24
"""In `Run.answers` the state stands above so many bits, and the place of the version in them."""

UInt64 = NDArray[np.uint64]
UInt32 = NDArray[np.uint32]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DIGITS = 16


def short(digits: str | None) -> int:
    """The first 8 bytes of a hash in hex; 0 for none."""
    return int(digits[:_DIGITS], 16) if digits else 0


def microseconds(time: datetime) -> int:
    return (time - _EPOCH) // _MICROSECOND


def moment(passed: int) -> datetime:
    return _EPOCH + passed * _MICROSECOND


@dataclass(frozen=True)
class First:
    """How a request was answered. residual: of the batch that it was in. fingerprint: 0 where it is not known."""

    fingerprint: int
    state: State
    version: int
    time: datetime
    residual: float | None

    def fits(self, event: Event) -> bool:
        """Whether a request under the same id asks for the same, as far as that is known."""
        return not self.fingerprint or not event.fingerprint or self.fingerprint == short(event.fingerprint)


@dataclass(frozen=True)
class Run:
    """Requests that were answered, sorted so that many are looked up at once.

    hashes, fingerprints: uint64 [N], the first 8 bytes of each; a fingerprint is 0 where it is not known.
    answers: uint32 [N], each the state (of STATES) above STATE_BITS bits, and in them the place of the version.
    versions: uint32 [V]. times: int64 [V], microseconds since 1970, UTC. residuals: float64 [V], NaN for none.
    """

    hashes: UInt64
    fingerprints: UInt64
    answers: UInt32
    versions: UInt32
    times: Int64
    residuals: NDArray[np.float64]

    @staticmethod
    def of(
        version: int, time: datetime, residual: float | None, events: Sequence[Event], states: Sequence[State]
    ) -> Run:
        """What one version answered. states: of the events, in their order."""
        known = len(events) > 0
        return Run(
            hashes=np.array([short(event.hash) for event in events], dtype=np.uint64),
            fingerprints=np.array([short(event.fingerprint) for event in events], dtype=np.uint64),
            answers=np.array([STATES.index(state) << STATE_BITS for state in states], dtype=np.uint32),
            versions=np.array([version] * known, dtype=np.uint32),
            times=np.array([microseconds(time)] * known, dtype=np.int64),
            residuals=np.array([np.nan if residual is None else residual] * known),
        )._sorted()

    @staticmethod
    def merged(runs: Sequence[Run], since: datetime = _EPOCH) -> Run:
        """Several runs as one, the oldest first, without what was answered before `since`.

        Of a request that is in several, the newest answer is kept.
        """
        parts, place = [NOTHING], 0
        for run in runs:
            part = run._since(microseconds(since))
            parts.append(replace(part, answers=part.answers + np.uint32(place)))
            place += len(part.versions)
        columns = (np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Run))
        return Run(*columns)._sorted()

    def __len__(self) -> int:
        return len(self.hashes)

    @property
    def nbytes(self) -> int:
        """Bytes of all columns."""
        return sum(getattr(self, field.name).nbytes for field in fields(self))

    @property
    def newest(self) -> datetime:
        """When the last request was answered."""
        return moment(int(self.times.max()))

    def find(self, hashes: UInt64) -> Int64:
        """Places [M] of requests [M], best given in order; -1 where one is not here."""
        if len(self) == 0:
            return np.full(len(hashes), -1)
        places = np.minimum(np.searchsorted(self.hashes, hashes), len(self) - 1)
        return np.where(self.hashes[places] == hashes, places, -1)

    def first(self, place: int) -> First:
        """How the request at a place was answered."""
        state, row = divmod(int(self.answers[place]), 1 << STATE_BITS)
        residual = float(self.residuals[row])
        return First(
            fingerprint=int(self.fingerprints[place]),
            state=STATES[state],
            version=int(self.versions[row]),
            time=moment(int(self.times[row])),
            residual=None if np.isnan(residual) else residual,
        )

    def _since(self, start: int) -> Run:
        late = self.times >= start
        if late.all():
            return self
        rows = self.answers & ((1 << STATE_BITS) - 1)
        kept = late[rows]
        # A version moves down by as many places as were dropped before it.
        answers = self.answers - np.cumsum(~late).astype(np.uint32)[rows]
        columns = self.hashes[kept], self.fingerprints[kept], answers[kept]
        return Run(*columns, self.versions[late], self.times[late], self.residuals[late])

    def _sorted(self) -> Run:
        # A stable sort takes runs that are sorted as they are, and leaves the newest of equal hashes last.
        order = np.argsort(self.hashes, kind="stable")
        hashes = self.hashes[order]
        last = order[np.append(hashes[1:] != hashes[:-1], True)[: len(hashes)]]
        columns = self.hashes[last], self.fingerprints[last], self.answers[last]
        return Run(*columns, self.versions, self.times, self.residuals)


NOTHING: Final = Run.of(0, _EPOCH, None, (), ())


@dataclass(frozen=True)
class Remembered:
    """What a version says of requests that were answered before.

    kept: segments of its parent. added: goes into a segment of its own, where it is not empty. last: all that was
    answered up to this version is in one of them, or need not be remembered.
    """

    kept: Sequence[Segment]
    added: Run
    last: int

    def segments(self, file: File | None) -> tuple[Segment, ...]:
        """All segments of the version. file: the one that was added."""
        if file is None:
            return tuple(self.kept)
        added = Segment(
            **dict(file),
            first=int(self.added.versions[0]),
            last=self.last,
            newest=self.added.newest,
            count=len(self.added),
        )
        return (*self.kept, added)
