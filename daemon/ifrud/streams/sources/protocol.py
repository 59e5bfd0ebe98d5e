"""The protocol of sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ifru.errors import IfruError


@dataclass(frozen=True)
class Event:
    """One event as it was delivered, not yet understood.

    payload, key: None where the record had none. offset: where the event lies; next: where reading goes on after it.
    received: seconds since the epoch.
    """

    payload: bytes | None
    key: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    partition: int
    offset: int
    next: int
    received: float


@dataclass(frozen=True)
class LostRange:
    """Offsets `first` to `last`, both included, that can no longer be read."""

    partition: int
    first: int
    last: int


class SourceError(IfruError):
    """The source cannot go on: it is out of reach, or it is not the stream that was read before."""


class LostEventsError(SourceError):
    """Events were removed before they were read, so requests in them would be lost unnoticed."""

    def __init__(self, text: str, ranges: Sequence[LostRange]) -> None:
        super().__init__(text)
        self.ranges = tuple(ranges)


class Source(Protocol):
    """A stream of events in partitions. Used by one thread.

    name: topic, or name of the file; it stands in positions and dead letters.
    """

    name: str

    def seek(self, positions: Mapping[int, int]) -> None:
        """Read on from these positions (partition -> next); partitions that are not named start at 0.

        Raises LostEventsError where a position is older than the oldest event, SourceError where it lies behind the end
        or the partition does not exist: then it is not the stream that the positions were taken from.
        """

    def poll(self, limit: int, timeout: float) -> list[Event]:
        """At most `limit` events that were not delivered before, in order within a partition.

        Blocks up to `timeout` seconds while there are none. Reads from 0 where seek was never called.
        Raises SourceError where the stream cannot be read on; what was delivered before stays valid.
        """

    def end(self) -> Mapping[int, int]:
        """Where each partition ends now: the `next` after its last event. Comparable with positions.

        What follows the last event may be no event (transaction markers, aborted records). That is known only once it
        was read, so ask again after a poll that brought nothing, until positions have reached the end.
        Raises SourceError where the source is out of reach.
        """

    def known_end(self) -> Mapping[int, int]:
        """`end`, as far as it is known without a request; never waits. For measuring lag."""

    def heard(self) -> float | None:
        """When the source last answered, in seconds since the epoch; None where it never has. Never waits."""

    def acknowledge(self, positions: Mapping[int, int]) -> None:
        """Show lag tools how far events are processed. Nothing else depends on it.

        Raises SourceError where it is refused.
        """

    def close(self) -> None:
        """Give back connections and threads. Closing twice is no error."""
