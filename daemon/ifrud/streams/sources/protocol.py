"""The protocol of sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ifru.errors import IfruError, RequestError

if TYPE_CHECKING:
    from ifru.snapshots.sources import Source as Recorded


@dataclass(frozen=True)
class Event:
    """One event as it was delivered, not yet understood.

    payload, key: None where the record had none. offset: where the event lies; next: where reading goes on after it.
    received: seconds since the epoch. problem: why the source could not read it as it is; then it is no request.
    timestamp: milliseconds since the epoch that the stream has for it; None where it has none.
    """

    payload: bytes | None
    key: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    partition: int
    offset: int
    next: int
    received: float
    problem: RequestError | None = None
    timestamp: int | None = None


class SourceError(IfruError):
    """The source cannot go on: it is out of reach, or it is not the stream that was read before."""


class Source(Protocol):
    """A stream of events in partitions. Used by one thread.

    name: topic, or name of the file; it stands in positions and dead letters.
    """

    name: str

    def seek(self, recorded: Recorded) -> Mapping[int, int]:
        """Read on from the positions that a version recorded; partitions that are not named start at 0.

        Returns where reading goes on: partition -> next. Identity that was not recorded is not checked.
        Raises LostEventsError where it is another stream, or where it was cut, or no longer holds the events after a
        position, unless the operator accepted exactly this loss; SourceError where it is out of reach.
        """

    def recorded(self, positions: Mapping[int, int]) -> Recorded:
        """Positions (partition -> next) with what `seek` needs to tell that it still is the same stream.

        positions: that `seek` returned, or `next` of events that were delivered since; never less than the last time.
        """

    def poll(self, limit: int, timeout: float) -> list[Event]:
        """At most `limit` events that were not delivered before, in order within a partition.

        Blocks up to `timeout` seconds while there are none. Reads from 0 where seek was never called.
        Raises LostEventsError or SourceError where the stream cannot be read on; what was delivered before stays valid.
        """

    def end(self) -> Mapping[int, int]:
        """Where each partition ends now: the `next` after its last event. Comparable with positions.

        What follows the last event may be no event (transaction markers, aborted records). That is known only once it
        was read, so ask again after a poll that brought nothing, until positions have reached the end.
        Raises SourceError where the source is out of reach.
        """

    def known_end(self) -> Mapping[int, int]:
        """`end` of the partitions of which it is known without a request; never waits. For measuring lag."""

    def heard(self) -> float | None:
        """When all that is read last answered, in seconds since the epoch; None before that. Never waits."""

    def acknowledge(self, positions: Mapping[int, int]) -> None:
        """Show lag tools how far events are processed. Nothing else depends on it.

        Raises SourceError where it is refused; then it tries nothing for some time, and does not wait.
        """

    def close(self) -> None:
        """Give back connections and threads. Closing twice is no error."""
