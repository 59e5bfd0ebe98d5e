"""A Kafka topic as a source: all partitions, no group; the caller keeps the positions."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import LogTruncationError, OffsetOutOfRangeError

from ifrud.settings import KafkaSettings
from ifrud.streams.kafka_client import DEFAULT_TIMEOUTS, Timeouts, arguments, connecting, raising
from ifrud.streams.sources.kafka_lag import GroupOffsets
from ifrud.streams.sources.protocol import Event, LostEventsError, LostRange, SourceError


class KafkaSource:
    """One topic, all of its partitions, committed records only, as raw bytes.

    Events of any size that the broker takes are delivered whole. While brokers are away `poll` brings nothing and the
    client keeps trying; `end` then raises SourceError after the request timeout.

    settings.accept_lost: only a position below the offset that is given for its partition is moved, and only to that
    offset: whatever else is lost stays an error.
    clock: seconds since the epoch. wait: sleeps, between attempts to acknowledge.
    Raises SourceError where no broker answers or the topic does not exist.
    """

    def __init__(
        self,
        servers: Sequence[str],
        topic: str,
        settings: KafkaSettings,
        *,
        clock: Callable[[], float],
        wait: Callable[[float], None],
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
    ) -> None:
        self.name = topic
        self._what = f"Kafka topic {topic!r}"
        self._accept_lost = settings.accept_lost
        self._clock = clock
        self._timeout = timeouts.request
        self._heard: float | None = None
        self._read = -math.inf
        # Positions as the caller knows them. The client's own move on over what is no event, and over what is lost.
        self._next: dict[int, int] = {}
        with connecting(SourceError, servers):
            shared = arguments(servers, settings, timeouts)
            self._consumer = KafkaConsumer(
                **shared,
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="none",
                isolation_level="read_committed",
            )
        self._group = GroupOffsets(topic, settings.group, shared, wait, timeouts.group) if settings.group else None
        try:
            self._existing_partitions()
        except SourceError:
            self.close()
            raise

    def seek(self, positions: Mapping[int, int]) -> None:
        partitions = self._existing_partitions()
        unknown = sorted(set(positions) - partitions)
        if unknown:
            raise SourceError(
                f"{self._what} has {len(partitions)} partitions, and a position names partition {unknown[0]}: "
                "it was made anew since; restore it, or start from a new store"
            )
        self._next = {}
        self._start({partition: positions.get(partition, 0) for partition in partitions})

    def poll(self, limit: int, timeout: float) -> list[Event]:
        self._adopt_new_partitions()
        try:
            with raising(SourceError, self._what):
                batches = self._consumer.poll(timeout_ms=math.ceil(timeout * 1000), max_records=limit)
        except SourceError as error:
            raise self._explained(error) from error.__cause__
        received = self._clock()
        self._listen()
        events = [_event(record, received) for records in batches.values() for record in records]
        self._next |= {event.partition: event.next for event in events}
        return events

    def end(self) -> Mapping[int, int]:
        self._adopt_new_partitions()
        ends = self._ends(self._next)
        return {
            partition: self._next[partition] if self._spent(partition, end) else end for partition, end in ends.items()
        }

    def known_end(self) -> Mapping[int, int]:
        heard = {partition: self._consumer.highwater(self._at(partition)) for partition in self._next}
        return {partition: self._next[partition] if end is None else end for partition, end in heard.items()}

    def heard(self) -> float | None:
        return self._heard

    def acknowledge(self, positions: Mapping[int, int]) -> None:
        if self._group is not None:
            self._group.commit({partition: self._reached(partition, after) for partition, after in positions.items()})

    def close(self) -> None:
        self._consumer.close(autocommit=False, timeout_ms=self._timeout)
        if self._group is not None:
            self._group.close()

    def _listen(self) -> None:
        """Note when a broker was last heard, which the client only tells of its open connections."""
        connections = list(self._consumer._manager._conns.values())
        reads = [connection.transport.last_read for connection in connections if connection.connected]
        if reads and max(reads) > self._read:
            self._read = max(reads)
            self._heard = self._clock() - (time.monotonic() - self._read)

    def _partitions(self) -> set[int]:
        """Partitions by what is known of the topic now; none where the topic is not known (any more)."""
        with raising(SourceError, self._what):
            return set(self._consumer.partitions_for_topic(self.name))

    def _existing_partitions(self) -> set[int]:
        partitions = self._partitions()
        if not partitions:
            raise SourceError(f"{self._what} does not exist, or may not be read; create it, or mend the URL")
        return partitions

    def _adopt_new_partitions(self) -> None:
        # A broker that has just started may not know the topic for a moment, so that is no error while reading.
        new = self._partitions() - self._next.keys()
        if new:
            self._start(dict.fromkeys(new, 0))

    def _start(self, positions: Mapping[int, int]) -> None:
        """Assign partitions besides those that are read already, at these positions."""
        accepted = {p: max(start, self._accept_lost.get(p, 0)) for p, start in positions.items()}
        self._check(accepted)
        with raising(SourceError, self._what):
            self._consumer.assign(self._all_at(self._next.keys() | accepted.keys()))
            for partition, start in accepted.items():
                self._consumer.seek(self._at(partition), start)
        self._next |= positions

    def _check(self, positions: Mapping[int, int]) -> None:
        """Raise LostEventsError or SourceError for positions outside of what the topic holds."""
        with raising(SourceError, self._what):
            begins = self._by_partition(self._consumer.beginning_offsets(self._all_at(positions), self._timeout))
        lost = [LostRange(p, at, begins[p] - 1) for p, at in sorted(positions.items()) if at < begins[p]]
        if lost:
            raise LostEventsError(self._lost_text(lost), lost)
        ends = self._ends(positions)
        for partition, after in sorted(positions.items()):
            if after > ends[partition]:
                raise SourceError(
                    f"{self._what} ends at offset {ends[partition]} in partition {partition}, and it was read up to "
                    f"{after}: it was made anew or cut back since; restore it, or start from a new store"
                )

    def _lost_text(self, lost: Sequence[LostRange]) -> str:
        ranges = ", ".join(f"partition {r.partition} offsets {r.first} to {r.last}" for r in lost)
        accepted = ", ".join(f'"{r.partition}": {r.last + 1}' for r in lost)
        return (
            f"{self._what} has lost events that were never read: {ranges}; requests in them must be sent again. "
            f"To go on without them, set kafka.accept_lost to {{{accepted}}}"
        )

    def _explained(self, error: SourceError) -> SourceError:
        """What an error of the client's poll means for the positions."""
        cause = error.__cause__
        if isinstance(cause, OffsetOutOfRangeError):
            try:
                self._check({at.partition: offset for at, offset in cause.args[0].items()})
            except SourceError as explained:
                return explained
        if isinstance(cause, LogTruncationError):
            return SourceError(
                f"{self._what} was cut back behind what was read (an unclean leader election); events that were "
                "read are not in it any more, and others may stand in their place"
            )
        return error

    def _spent(self, partition: int, end: int) -> bool:
        """Whether everything up to `end` was read, so that what follows the last event is no event."""
        return self._reached(partition, self._next[partition]) >= end

    def _reached(self, partition: int, after: int) -> int:
        """A position, moved past what is no event where every event was delivered up to it."""
        if after != self._next.get(partition):
            return after
        with raising(SourceError, self._what):
            position = self._consumer.position(self._at(partition), timeout_ms=self._timeout)
        return after if position is None else max(after, position)

    def _ends(self, partitions: Collection[int]) -> dict[int, int]:
        with raising(SourceError, self._what):
            return self._by_partition(self._consumer.end_offsets(self._all_at(partitions), self._timeout))

    def _all_at(self, partitions: Collection[int]) -> list[TopicPartition]:
        return [self._at(partition) for partition in sorted(partitions)]

    def _at(self, partition: int) -> TopicPartition:
        return TopicPartition(self.name, partition)

    @staticmethod
    def _by_partition(offsets: Mapping[TopicPartition, int]) -> dict[int, int]:
        return {at.partition: offset for at, offset in offsets.items()}


def _event(record: Any, received: float) -> Event:
    headers = tuple((name, value or b"") for name, value in record.headers or ())
    return Event(record.value, record.key, headers, record.partition, record.offset, record.offset + 1, received)
