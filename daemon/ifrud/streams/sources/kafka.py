"""A Kafka topic as a source: all partitions, no group; the caller keeps the positions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog
from kafka.errors import LogTruncationError, OffsetOutOfRangeError

from ifru.errors import RequestError
from ifru.snapshots.sources import Position
from ifru.snapshots.sources import Source as Recorded
from ifrud.settings import KafkaSettings
from ifrud.streams.kafka_client import DEFAULT_TIMEOUTS, Timeouts, arguments
from ifrud.streams.sources.kafka_lag import GroupOffsets
from ifrud.streams.sources.kafka_losses import losses
from ifrud.streams.sources.kafka_records import Unreadable
from ifrud.streams.sources.kafka_topic import NO_EPOCH, Topic
from ifrud.streams.sources.loss import LostEventsError, resumed
from ifrud.streams.sources.protocol import Event, SourceError

log = structlog.stdlib.get_logger("ifrud")


class KafkaSource:
    """One topic, all of its partitions, committed records only, as raw bytes.

    Events of any size that the broker takes are delivered whole. While brokers are away `poll` brings nothing and the
    client keeps trying; `end` then raises SourceError after the request timeout.

    topic: what it reads. group: which lag tools look at, where there is one.
    accept_lost: the word of a loss that is accepted. A topic made anew is then read from its beginning, a gap is
    jumped, and a partition that was cut is read on from there.
    clock: seconds since the epoch.
    Raises SourceError where the topic does not exist.
    """

    def __init__(
        self,
        topic: Topic,
        group: GroupOffsets | None,
        *,
        clock: Callable[[], float],
        accept_lost: str | None = None,
    ) -> None:
        self.name = topic.name
        self._what = f"Kafka topic {topic.name!r}"
        self._accept_lost = accept_lost
        self._clock = clock
        # Positions as the caller knows them. The client's own move on over what is no event.
        self._next: dict[int, int] = {}
        # By partition, where in the order of positions the leader epoch of the event before changed.
        self._epochs: dict[int, list[tuple[int, int | None]]] = {}
        self._topic, self._group = topic, group
        try:
            self._existing_partitions()
        except SourceError:
            self.close()
            raise
        self._identity = self._named({})

    @staticmethod
    def open(
        servers: Sequence[str],
        topic: str,
        settings: KafkaSettings,
        *,
        clock: Callable[[], float],
        wait: Callable[[float], None],
        accept_lost: str | None = None,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
    ) -> KafkaSource:
        """Connect to brokers. wait: sleeps, between attempts to acknowledge. Raises SourceError where none answers."""
        read, group = Topic(servers, topic, settings, clock, timeouts), None
        if settings.group is not None:
            shared = arguments(servers, settings, timeouts)
            group = GroupOffsets(topic, settings.group, shared, clock, wait, timeouts.group)
        return KafkaSource(read, group, clock=clock, accept_lost=accept_lost)

    def seek(self, recorded: Recorded) -> Mapping[int, int]:
        self._next, self._epochs, self._identity = {}, {}, self._named({})
        self._start(recorded, self._existing_partitions())
        self._warn_of_a_restored_store(recorded)
        return dict(self._next)

    def recorded(self, positions: Mapping[int, int]) -> Recorded:
        found = {p: Position(next=after, leader_epoch=self._epoch(p, after)) for p, after in positions.items()}
        return self._identity.model_copy(update={"partitions": found})

    def poll(self, limit: int, timeout: float) -> list[Event]:
        self._adopt_new_partitions()
        try:
            records = self._topic.poll(limit, timeout)
        except SourceError as error:
            cause = error.__cause__
            lost = isinstance(cause, OffsetOutOfRangeError | LogTruncationError)
            raise (self._explained(error) if lost else error) from cause
        self._check_identity()
        received = self._clock()
        events = [_event(record, received) for record in records]
        for record, event in zip(records, events, strict=True):
            self._passed(event, record.leader_epoch)
        return events

    def end(self) -> Mapping[int, int]:
        self._adopt_new_partitions()
        ends = self._topic.ends(self._next)
        return {
            partition: self._next[partition] if self._spent(partition, end) else end for partition, end in ends.items()
        }

    def known_end(self) -> Mapping[int, int]:
        heard = {partition: self._topic.highwater(partition) for partition in self._next}
        return {partition: end for partition, end in heard.items() if end is not None}

    def heard(self) -> float | None:
        return self._topic.heard(self._next)

    def acknowledge(self, positions: Mapping[int, int]) -> None:
        if self._group is not None:
            reached = {partition: self._reached(partition, after) for partition, after in positions.items()}
            self._group.commit(reached, positions)

    def close(self) -> None:
        self._topic.close()
        if self._group is not None:
            self._group.close()

    def _named(self, partitions: Mapping[int, Position]) -> Recorded:
        """Positions in the topic that is read now."""
        topic = self._topic
        return Recorded(kind="kafka", cluster_id=topic.cluster_id, topic_id=topic.topic_id, partitions=partitions)

    def _existing_partitions(self) -> set[int]:
        partitions = self._topic.partitions()
        if not partitions:
            raise SourceError(f"{self._what} does not exist, or may not be read; create it, or mend the URL")
        return partitions

    def _adopt_new_partitions(self) -> None:
        # A broker that has just started may not know the topic for a moment, so that is no error while reading.
        new = self._topic.partitions() - self._next.keys()
        if new:
            self._check_identity()
            self._start(self._named({}), new)

    def _start(self, recorded: Recorded, partitions: set[int]) -> None:
        """Read partitions besides those that are read already, from where they were recorded."""
        accepted = resumed(losses(self._topic, recorded, partitions), self._accept_lost)
        self._topic.assign(self._next.keys() | partitions)
        for partition in partitions:
            at = accepted.get(partition, recorded.partitions.get(partition, Position(next=0)))
            self._topic.seek(partition, at.next, at.leader_epoch)
            self._next[partition] = at.next
            self._epochs[partition] = [(at.next, at.leader_epoch)]

    def _passed(self, event: Event, leader_epoch: int) -> None:
        self._next[event.partition] = event.next
        changes, epoch = self._epochs[event.partition], None if leader_epoch == NO_EPOCH else leader_epoch
        if changes[-1][1] != epoch:
            changes.append((event.next, epoch))

    def _epoch(self, partition: int, after: int) -> int | None:
        """The leader epoch of the event before a position, where it is known."""
        changes = self._epochs.get(partition, [])
        return next((epoch for first, epoch in reversed(changes) if first <= after), None)

    def _check_identity(self) -> None:
        """Raise where the topic was made anew while it was read."""
        read, found = self._identity.topic_id, self._topic.topic_id
        if None not in (read, found) and read != found:
            raise self._explained(SourceError(f"{self._what} was made anew while it was read"))

    def _explained(self, error: SourceError) -> SourceError:
        """What is lost where the client cannot read on, if anything."""
        found = losses(self._topic, self.recorded(self._next), self._existing_partitions())
        return LostEventsError(found) if found else error

    def _warn_of_a_restored_store(self, recorded: Recorded) -> None:
        shown = {} if self._group is None else self._group.positions()
        read = {partition: at.next for partition, at in recorded.partitions.items() if self._next[partition] == at.next}
        again = sum(max(0, shown.get(partition, 0) - after) for partition, after in read.items())
        if again:
            log.warning(
                f"{self._what}: lag tools were shown positions that the store does not have; it was probably restored "
                f"from a backup, and {again} events are read again",
                again=again,
            )

    def _spent(self, partition: int, end: int) -> bool:
        """Whether everything up to `end` was read, so that what follows the last event is no event."""
        return self._reached(partition, self._next[partition]) >= end

    def _reached(self, partition: int, after: int) -> int:
        """A position, moved past what is no event where every event was delivered up to it."""
        if after != self._next.get(partition):
            return after
        position = self._topic.position(partition)
        return after if position is None else max(after, position)


def _event(record: Any, received: float) -> Event:
    wrong = next((name for name, _ in record.headers if isinstance(name, Unreadable)), None)
    headers = tuple((name, value or b"") for name, value in record.headers if not isinstance(name, Unreadable))
    offset = record.offset if wrong is None else wrong.first
    problem = None if wrong is None else RequestError(wrong.field, str(wrong))
    # -1 stands for none.
    timestamp = record.timestamp if record.timestamp is not None and record.timestamp >= 0 else None
    after = record.offset + 1
    return Event(record.value, record.key, headers, record.partition, offset, after, received, problem, timestamp)
