"""A JSONL file as a source, followed as it grows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ifrud.streams.last_line import end_of_last_line
from ifrud.streams.sources.protocol import Event, LostEventsError, LostRange, SourceError

MAX_LINE_BYTES = 16 * 1024 * 1024
"""Lines up to this size are delivered whole; a longer one stops the source, since it is no request of any kind."""

POLL_BYTES = 8 * 1024 * 1024
"""A poll stops collecting lines once it holds this much, whatever its limit, so that long lines cannot fill memory."""


class JsonlSource:
    """Each complete line (one that ends in a newline) is an event; partition 0, offsets in bytes.

    A file that does not exist yet is waited for. One that was cut or replaced is an error, found by its size, its
    identity (device and inode) and by the byte before the position, which is always a newline.
    clock: seconds since the epoch. wait: sleeps. interval: seconds between two looks at the file while it stands still.
    """

    def __init__(
        self, path: Path, *, clock: Callable[[], float], wait: Callable[[float], None], interval: float = 0.02
    ) -> None:
        if not path.parent.is_dir():
            raise SourceError(
                f"events file {str(path)!r}: its folder does not exist; create the folder, or mend the URL"
            )
        self.name = path.name
        self._path = path
        self._clock = clock
        self._wait = wait
        self._interval = interval
        self._next = 0
        self._identity: tuple[int, int] | None = None
        self._heard: float | None = None

    def seek(self, positions: Mapping[int, int]) -> None:
        unknown = set(positions) - {0}
        if unknown:
            raise SourceError(
                f"events file {self.name!r}: a position names partition {min(unknown)}; a file has only 0"
            )
        self._next = positions.get(0, 0)
        with self._opened():
            pass

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
            return {0: self._next if file is None else end_of_last_line(file, self._next)}

    def known_end(self) -> Mapping[int, int]:
        return self.end()

    def heard(self) -> float | None:
        return self._heard

    def acknowledge(self, positions: Mapping[int, int]) -> None:
        """Nothing to do: no tool watches the lag of a file."""

    def close(self) -> None:
        """The file is open only while it is read."""

    def _read(self, limit: int) -> list[Event]:
        with self._opened() as file:
            if file is None:
                return []
            received, start = self._clock(), self._next
            events: list[Event] = []
            while len(events) < limit and self._next - start < POLL_BYTES:
                line = file.readline(MAX_LINE_BYTES + 1)
                if not line.endswith(b"\n"):
                    # The next poll starts at this line, so the events before it are delivered first.
                    if len(line) > MAX_LINE_BYTES and not events:
                        raise self._too_long()
                    break
                offset, self._next = self._next, self._next + len(line)
                events.append(Event(line[:-1], None, (), 0, offset, self._next, received))
            return events

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO | None]:
        """The file, at the position; None where there is none yet. Raises SourceError if it is another one by now."""
        try:
            file = self._open()
            if file is None:
                self._check_size(0)
                self._heard = self._clock()
                yield None
                return
            with file:
                self._check(file)
                self._heard = self._clock()
                yield file
        except OSError as error:
            raise SourceError(f"events file {str(self._path)!r} cannot be read: {error.strerror}") from error

    def _open(self) -> BinaryIO | None:
        try:
            return self._path.open("rb")
        except FileNotFoundError:
            return None

    def _check_size(self, size: int) -> None:
        if size < self._next:
            lost = LostRange(0, size, self._next - 1)
            raise LostEventsError(
                f"events file {self.name!r} has {size} bytes and was read up to byte {self._next}: bytes {lost.first} "
                f"to {lost.last} are gone, so it was cut, moved or replaced; put the file back, and only append to it",
                [lost],
            )

    def _check(self, file: BinaryIO) -> None:
        status = os.fstat(file.fileno())
        self._check_size(status.st_size)
        identity = status.st_dev, status.st_ino
        if self._identity not in (None, identity):
            raise self._replaced("another file has taken its place")
        self._identity = identity
        if self._next > 0:
            file.seek(self._next - 1)
            if file.read(1) != b"\n":
                raise self._replaced("no line starts there any more")

    def _too_long(self) -> SourceError:
        return SourceError(
            f"events file {self.name!r}: the line at byte {self._next} has more than {MAX_LINE_BYTES} bytes; "
            "is it a file of one JSON document a line?"
        )

    def _replaced(self, why: str) -> SourceError:
        return SourceError(
            f"events file {self.name!r} was read up to byte {self._next}, and {why}; put the file back, and only ever "
            "append to it"
        )
