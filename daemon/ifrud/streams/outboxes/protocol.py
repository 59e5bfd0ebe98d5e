"""The protocol of outboxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ifru.errors import IfruError


@dataclass(frozen=True)
class Record:
    """key: records of one key keep their order. value: one JSON document without a newline.

    An event that is sent again may also have headers, and none of these two.
    """

    key: str | bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


class OutboxError(IfruError):
    """Records could not be made durable. Some of them may have arrived."""


class Outbox(Protocol):
    """A place for records, each delivered at least once."""

    def send(self, records: Sequence[Record]) -> None:
        """Returns when all records are durable: fsync for a file, acks=all on Kafka. Blocks until then.

        Raises OutboxError; records may then have arrived in part, and sending all of them again is right.
        """

    def close(self) -> None:
        """Give back connections and threads. Closing twice is no error."""
