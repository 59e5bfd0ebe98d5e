"""A JSONL file as an outbox: one record a line, appended."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from pydantic_core import from_json

from ifrud.streams.last_line import end_of_last_line
from ifrud.streams.outboxes.protocol import OutboxError, Record

LOCK_SECONDS = 10.0
"""How long another process may have the file locked: many times what it takes to write."""

LOCK_LOOK_SECONDS = 0.01


class JsonlOutbox:
    """Appends lines under an exclusive lock (flock), so that several processes can write to one file.

    wait: sleeps for so many seconds. now: seconds, never going back.

    A writer that died in the middle of a line leaves an incomplete one, which is repaired before the next is appended:
    a whole JSON document only lacks its newline and gets it; anything else was never reported as sent, and is cut off.
    """

    def __init__(
        self, path: Path, wait: Callable[[float], None] = time.sleep, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = path
        self._wait = wait
        self._now = now
        if not path.parent.is_dir():
            raise OutboxError(f"{str(path)!r}: its folder does not exist; create the folder, or mend the URL")
        self.send([])

    def send(self, records: Sequence[Record]) -> None:
        lines = b"".join(_line(record) for record in records)
        try:
            with self._path.open("a+b") as file:
                self._lock(file)
                first = file.seek(0, os.SEEK_END) == 0
                if _repair(file) or lines:
                    file.write(lines)
                    file.flush()
                    os.fsync(file.fileno())
            if first and lines:
                _sync_folder(self._path.parent)
        except OSError as error:
            raise OutboxError(f"{str(self._path)!r}: {len(records)} records not written: {error.strerror}") from error

    def _lock(self, file: BinaryIO) -> None:
        end = self._now() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if self._now() >= end:
                    raise OutboxError(
                        f"{str(self._path)!r}: another process has had it locked for {LOCK_SECONDS:g} s. Perhaps it is "
                        f"suspended: `fuser {self._path}` names it; have it go on, or end it"
                    ) from None
            self._wait(LOCK_LOOK_SECONDS)

    def close(self) -> None:
        """The file is open only while it is written."""


def is_line(record: Record) -> bool:
    """Whether a file can hold a record; its key is not written."""
    return record.value is not None and b"\n" not in record.value and not record.headers


def _line(record: Record) -> bytes:
    if not is_line(record):
        raise ValueError("a file holds lines: a record must have a value without a newline, and no headers")
    return (record.value or b"") + b"\n"


def _repair(file: BinaryIO) -> bool:
    """Complete the last line, or cut it off; True where it was incomplete."""
    start = end_of_last_line(file)
    file.seek(start)
    tail = file.read()
    if not tail:
        return False
    if _is_json(tail):
        file.write(b"\n")
    else:
        file.truncate(start)
    return True


def _is_json(text: bytes) -> bool:
    try:
        from_json(text)
    except ValueError:
        return False
    return True


def _sync_folder(folder: Path) -> None:
    """Make the file's name durable too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
