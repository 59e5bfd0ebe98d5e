"""A JSONL file as a source, followed as it grows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from ifru.snapshots.sources import Position
from ifru.snapshots.sources import Source as Recorded
from ifrud.streams.last_line import end_of_last_line
from ifrud.streams.sources.loss import Loss, LostEventsError, LostRange, resumed
from ifrud.streams.sources.protocol import Event, SourceError

MAX_LINE_BYTES = 16 * 1024 * 1024
"""Lines up to this size are delivered whole; a longer one stops the source, since it is no request of any kind."""

POLL_BYTES = 8 * 1024 * 1024
"""A poll stops collecting lines once it holds this much, whatever its limit, so that long lines cannot fill memory."""

BEFORE_BYTES = 4096
"""So much of a file before a position identifies it."""


class JsonlSource:
    """Each complete line (one that ends in a newline) is an event; partition 0, offsets in bytes.

    A file that does not exist yet is waited for. One that was truncated or replaced is found by its size and by what
    it holds before the position.
    clock: seconds since the epoch. wait: sleeps. interval: seconds between two looks at the file while it stands still.
    accept_lost: the word of a loss that is accepted; the file is then read from its beginning.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Callable[[], float],
        wait: Callable[[float], None],
        accept_lost: str | None = None,
        interval: float = 0.02,
    ) -> None:
        if not path.parent.is_dir():
            raise SourceError(
                f"events file {str(path)!r}: its folder does not exist; create the folder, or mend the URL"
            )
        self.name = path.name
        self._path = path
        self._clock = clock
        self._wait = wait
        self._accept_lost = accept_lost
        self._interval = interval
        self._heard: float | None = None
        self._start(0, b"")

    def seek(self, recorded: Recorded) -> Mapping[int, int]:
        with self._opened() as file:
            position = resumed(self._losses(file, recorded), self._accept_lost).get(0, _position(recorded))
            self._start(position.next, _before(file, position.next))
        return {0: position.next}

    def recorded(self, positions: Mapping[int, int]) -> Recorded:
        self._forget(positions[0])
        return self._at(positions[0])

    def poll(self, limit: int, timeout: float) -> list[Event]:
        remaining = timeout
        while True:
            events = self._read(limit)
            if events or remaining <= 0:
                return events
            pause = min(self._interval, remaining)
            self._wait(pause)
            remaining -= pause

    def end(self) -> Mapping[int, int]:
        with self._opened() as file:
            self._check(file)
            return {0: self._next if file is None else end_of_last_line(file, self._next)}

    def known_end(self) -> Mapping[int, int]:
        return self.end()

    def heard(self) -> float | None:
        return self._heard

    def acknowledge(self, positions: Mapping[int, int]) -> None:
        """No tool watches the lag of a file; but what lies far before is asked for no more."""
        self._forget(positions[0])

    def close(self) -> None:
        """The file is open only while it is read."""

    def _start(self, after: int, before: bytes) -> None:
        """Read on from a position. before: the file's last BEFORE_BYTES there."""
        self._next, self._read_before = after, bytearray(before)

    def _forget(self, after: int) -> None:
        """Keep of what was read before a position only what identifies it."""
        del self._read_before[: max(0, self._place(after) - BEFORE_BYTES)]

    def _place(self, after: int) -> int:
        """Where a position lies in what was read before `_next`, all of which is kept since the last `_forget`."""
        return len(self._read_before) - (self._next - after)

    def _at(self, after: int) -> Recorded:
        place = self._place(after)
        before = self._read_before[max(0, place - BEFORE_BYTES) : place]
        return Recorded(kind="file", partitions={0: Position(next=after, before_sha256=_digest(before))})

    def _read(self, limit: int) -> list[Event]:
        with self._opened() as file:
            lines = [] if file is None else self._lines(file, limit)
            # After the lines: a file that was truncated while they were read must not deliver what took their place.
            self._check(file)
            received = self._clock()
            return [self._delivered(line, received) for line in lines]

    def _lines(self, file: BinaryIO, limit: int) -> list[bytes]:
        lines: list[bytes] = []
        size = 0
        file.seek(self._next)
        while len(lines) < limit and size < POLL_BYTES:
            line = file.readline(MAX_LINE_BYTES + 1)
            if not line.endswith(b"\n"):
                # The next poll starts at this line, so the events before it are delivered first.
                if len(line) > MAX_LINE_BYTES and not lines:
                    raise self._too_long()
                break
            lines.append(line)
            size += len(line)
        return lines

    def _delivered(self, line: bytes, received: float) -> Event:
        offset, self._next = self._next, self._next + len(line)
        self._read_before += line
        return Event(line[:-1], None, (), 0, offset, self._next, received)

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO | None]:
        """The file; None where there is none."""
        try:
            file = self._open()
            self._heard = self._clock()
            if file is None:
                yield None
                return
            with file:
                yield file
        except OSError as error:
            raise SourceError(f"events file {str(self._path)!r} cannot be read: {error.strerror}") from error

    def _open(self) -> BinaryIO | None:
        try:
            return self._path.open("rb")
        except FileNotFoundError:
            return None

    def _check(self, file: BinaryIO | None) -> None:
        """Raise LostEventsError where the file no longer holds what was read."""
        if losses := self._losses(file, self._at(self._next)):
            raise LostEventsError(losses)

    def _losses(self, file: BinaryIO | None, recorded: Recorded) -> list[Loss]:
        """Why reading cannot go on from what was recorded; nothing where it can."""
        after, size = _position(recorded).next, _size(file)
        ranges = (LostRange(0, size, after - 1),) if size < after else ()
        if recorded.kind not in (None, "file"):
            why = "what was read before is a Kafka topic"
        elif unknown := sorted(recorded.partitions.keys() - {0}):
            why = f"partition {unknown[0]} was read, and a file has only 0"
        elif ranges:
            why = f"bytes {size} to {after - 1} are gone"
        elif not _holds(file, _position(recorded)):
            why = "it holds something else before that byte"
        else:
            return []
        first = b"" if file is None else _first_line(file)
        text = (
            f"events file {self.name!r} is not what was read up to byte {after}: {why}; it was truncated or replaced, "
            "and what had been appended to it by then is lost"
        )
        facts = ("file", self.name, recorded.model_dump(mode="json"), _digest(first))
        return [Loss(text, facts, {0: Position(next=0)}, ranges)]

    def _too_long(self) -> SourceError:
        return SourceError(
            f"events file {self.name!r}: the line at byte {self._next} has more than {MAX_LINE_BYTES} bytes; "
            "is it a file of one JSON document a line?"
        )


def _position(recorded: Recorded) -> Position:
    return recorded.partitions.get(0, Position(next=0))


def _holds(file: BinaryIO | None, position: Position) -> bool:
    """Whether a file has before a position what it had; where that was not recorded, whether a line ends there."""
    before = _before(file, position.next)
    if position.before_sha256 is None:
        return position.next == 0 or before.endswith(b"\n")
    return _digest(before) == position.before_sha256


def _size(file: BinaryIO | None) -> int:
    return 0 if file is None else os.fstat(file.fileno()).st_size


def _before(file: BinaryIO | None, position: int) -> bytes:
    if file is None:
        return b""
    start = max(0, position - BEFORE_BYTES)
    file.seek(start)
    return file.read(position - start)


def _first_line(file: BinaryIO) -> bytes:
    """The first complete line, as far as BEFORE_BYTES: it stays as it is while the file grows."""
    file.seek(0)
    line = file.readline(BEFORE_BYTES)
    return line if line.endswith(b"\n") or len(line) == BEFORE_BYTES else b""


def _digest(data: bytes | bytearray) -> str:
    return sha256(data).hexdigest()
