"""Requests that were answered, as columns: enough to repeat a receipt without reading anything.

Axes: N requests; V versions that answered them; M requests that are looked up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ifru.interactions.table import Int64
from ifru.snapshots.blocks import Blocks
from ifru.snapshots.parts import Event, File, Segment

State = Literal["published", "nothing_to_erase", "failed", "held", "purged", "near_miss", "granted"]
STATES: Final[tuple[State, ...]] = get_args(State)
SEGMENT_REQUESTS: Final = 1 << 18
"""Segments are merged up to this size. It bounds what one version has to write, and the memory that this takes."""

VERSION_BITS: Final = 24
"""In `Run.answers` the place of the version takes so many bits, and the state those above."""

UInt64 = NDArray[np.uint64]
UInt32 = NDArray[np.uint32]
Float = NDArray[np.float64]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_HASH_DIGITS, _FINGERPRINT_DIGITS = 16, 8


@dataclass(frozen=True)
class AnswerRows:
    """Requests that were answered, a row each, in any order.

    hash: uint64 [N], the first 8 bytes. fingerprint: uint32 [N], the first 4 bytes; 0 where it is not known.
    state: uint8 [N], its place in STATES. version: int64 [N]. time: int64 [N], microseconds since 1970, UTC.
    residual: float64 [N], of the batch; NaN where there is none. Requests of a version share time and residual.
    """

    hash: UInt64
    fingerprint: UInt32
    state: NDArray[np.uint8]
    version: Int64
    time: Int64
    residual: Float


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
        return not self.fingerprint or not event.fingerprint or self.fingerprint == short_fingerprint(event)


@dataclass(frozen=True)
class Run:
    """Requests that were answered, sorted by hash so that many are looked up at once, and small: 26 bytes at most.

    hashes, fingerprints: [N], as in `AnswerRows`. answers: uint32 [N], state and place of the version (VERSION_BITS).
    versions, times: [V], ascending. residuals: [V], in single precision where that is exact.
    """

    hashes: UInt64
    fingerprints: UInt32
    answers: UInt32
    versions: Blocks
    times: Blocks
    residuals: NDArray[np.floating]

    @staticmethod
    def of(rows: AnswerRows) -> Run:
        """Of several rows with one hash, the last is kept."""
        # A stable sort leaves the last of equal hashes last.
        order = np.argsort(rows.hash, kind="stable")
        hashes = rows.hash[order]
        order = order[np.append(hashes[1:] != hashes[:-1], True)[: len(order)]]
        versions, first, place = np.unique(rows.version[order], return_index=True, return_inverse=True)
        residuals = rows.residual[order[first]]
        single = residuals.astype(np.float32)
        return Run(
            hashes=rows.hash[order],
            fingerprints=rows.fingerprint[order],
            answers=(rows.state[order].astype(np.uint32) << VERSION_BITS) + place.astype(np.uint32),
            versions=Blocks.of(versions),
            times=Blocks.of(rows.time[order[first]]),
            residuals=single if np.array_equal(single, residuals, equal_nan=True) else residuals,
        )

    @staticmethod
    def of_version(
        version: int, time: datetime, residual: float | None, events: Sequence[Event], states: Sequence[State]
    ) -> Run:
        """What one version answered. states: of the events, in their order."""
        return Run.of(
            AnswerRows(
                hash=short_hashes(events),
                fingerprint=np.array([short_fingerprint(event) for event in events], dtype=np.uint32),
                state=np.array([STATES.index(state) for state in states], dtype=np.uint8),
                version=np.full(len(events), version),
                time=np.full(len(events), (time - _EPOCH) // _MICROSECOND),
                residual=np.full(len(events), np.nan if residual is None else residual),
            )
        )

    @staticmethod
    def merged(runs: Sequence[Run], since: datetime = _EPOCH) -> Run:
        """Several runs as one, the oldest first, without what was answered before `since`.

        Of a request that is in several, the newest answer is kept.
        """
        parts = [NOTHING.columns(), *(run.columns() for run in runs)]
        names = [field.name for field in fields(AnswerRows)]
        rows = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
        late = rows["time"] >= (since - _EPOCH) // _MICROSECOND
        return Run.of(AnswerRows(**{name: column[late] for name, column in rows.items()}))

    def columns(self) -> AnswerRows:
        """A row for each request, in the order of the hashes."""
        states, places = np.divmod(self.answers, 1 << VERSION_BITS)
        return AnswerRows(
            hash=self.hashes,
            fingerprint=self.fingerprints,
            state=states.astype(np.uint8),
            version=self.versions.values[places],
            time=self.times.values[places],
            residual=self.residuals.astype(np.float64)[places],
        )

    def __len__(self) -> int:
        return len(self.hashes)

    @property
    def nbytes(self) -> int:
        """Bytes of all columns."""
        return sum(getattr(self, field.name).nbytes for field in fields(self))

    @property
    def newest(self) -> datetime:
        """When the last request was answered."""
        return _EPOCH + int(self.times.values.max()) * _MICROSECOND

    def find(self, hashes: UInt64) -> Int64:
        """Places [M] of requests [M], best given in order; -1 where one is not here."""
        if len(self) == 0:
            return np.full(len(hashes), -1)
        places = np.minimum(np.searchsorted(self.hashes, hashes), len(self) - 1)
        return np.where(self.hashes[places] == hashes, places, -1)

    def first(self, place: int) -> First:
        """How the request at a place was answered."""
        state, version = divmod(int(self.answers[place]), 1 << VERSION_BITS)
        residual = float(self.residuals[version])
        return First(
            fingerprint=int(self.fingerprints[place]),
            state=STATES[state],
            version=self.versions[version],
            time=_EPOCH + self.times[version] * _MICROSECOND,
            residual=None if np.isnan(residual) else residual,
        )


def short_hashes(events: Sequence[Event]) -> UInt64:
    """Requests as they are looked up."""
    return np.array([int(event.hash[:_HASH_DIGITS], 16) for event in events], dtype=np.uint64)


def short_fingerprint(event: Event) -> int:
    """0 where it is not known."""
    return int(event.fingerprint[:_FINGERPRINT_DIGITS], 16) if event.fingerprint else 0


NOTHING: Final = Run.of_version(0, _EPOCH, None, (), ())


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
            first=self.added.versions[0],
            last=self.last,
            newest=self.added.newest,
            count=len(self.added),
        )
        return (*self.kept, added)
