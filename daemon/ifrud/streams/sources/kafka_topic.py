"""One topic as the client sees it: partitions, identity, offsets, records.

The only place that reaches below the client's public methods, for what these do not offer: the ids of cluster and
topic, positions with a leader epoch, and the time of the last answer.
"""

from __future__ import annotations

import math
from base64 import urlsafe_b64encode
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.errors import LogTruncationError
from kafka.structs import OffsetAndMetadata

from ifrud.settings import KafkaSettings
from ifrud.streams.kafka_client import Timeouts, arguments, connecting, raising
from ifrud.streams.sources.kafka_records import Batches
from ifrud.streams.sources.protocol import SourceError

POLL_BYTES = 8 * 1024 * 1024
"""A poll stops collecting once it holds this much, whatever its limit, so that large records cannot fill memory."""

NO_EPOCH = -1
NO_LEADER = (None, -1)


class Topic:
    """Reads one topic, all of whose partitions are assigned by the caller. Raises SourceError where it is out of reach.

    clock: seconds since the epoch; it is also asked on the client's own thread.
    """

    def __init__(
        self, servers: Sequence[str], name: str, settings: KafkaSettings, clock: Callable[[], float], timeouts: Timeouts
    ) -> None:
        self.name = name
        self._what = f"Kafka topic {name!r}"
        self._clock = clock
        self._timeout = timeouts.request
        self._answers: dict[int, float] = {}
        with connecting(SourceError, servers):
            self._consumer = KafkaConsumer(
                **arguments(servers, settings, timeouts),
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="none",
                isolation_level="read_committed",
                allow_auto_create_topics=False,
                metrics_enabled=False,
                check_crcs=False,
            )
        consumer = self._consumer
        consumer._fetcher = _Fetcher(
            self._answered, settings.max_decompressed_bytes, consumer._client, consumer._subscription, **consumer.config
        )
        self._cluster = consumer._cluster
        self._cluster.add_listener(self._updated)

    @property
    def cluster_id(self) -> str | None:
        found = self._cluster.cluster_id
        return None if found is None else str(found)

    @property
    def topic_id(self) -> str | None:
        """As Kafka's own tools show it; None while the topic does not exist, or where brokers know no ids."""
        found = self._cluster.topic_id(self.name)
        return None if found is None or found.int == 0 else urlsafe_b64encode(found.bytes).decode().rstrip("=")

    def partitions(self) -> set[int]:
        """By what is known of the topic now; none where it is not known (any more)."""
        with raising(SourceError, self._what):
            return set(self._consumer.partitions_for_topic(self.name))

    def begins(self, partitions: Collection[int]) -> dict[int, int]:
        """The offset of the oldest event."""
        with raising(SourceError, self._what):
            return _by_partition(self._consumer.beginning_offsets(self._all_at(partitions), self._timeout))

    def ends(self, partitions: Collection[int]) -> dict[int, int]:
        with raising(SourceError, self._what):
            return _by_partition(self._consumer.end_offsets(self._all_at(partitions), self._timeout))

    def highwater(self, partition: int) -> int | None:
        """The end, as far as it is known without a request."""
        found: int | None = self._consumer.highwater(self._at(partition))
        return found

    def assign(self, partitions: Collection[int]) -> None:
        """Read these partitions; those that are read already keep their place."""
        with raising(SourceError, self._what):
            self._consumer.assign(self._all_at(partitions))

    def seek(self, partition: int, offset: int, leader_epoch: int | None) -> None:
        """leader_epoch: of the event before the offset; the broker is then asked whether it still has that event."""
        epoch = NO_EPOCH if leader_epoch is None else leader_epoch
        self._consumer._subscription.seek(self._at(partition), OffsetAndMetadata(offset, "", epoch))

    def cuts(self, partitions: Iterable[int]) -> dict[int, tuple[int, int] | None]:
        """Partitions of which the event before the place is gone: where they were cut, as offset and leader epoch.

        None where the broker does not know. To be called after `assign` and `seek`.
        """
        places = [self._at(partition) for partition in partitions]
        try:
            # What the broker answers to the first call is raised by the second.
            for place in (*places, *places):
                with raising(SourceError, self._what):
                    self._consumer.position(place, timeout_ms=self._timeout)
        except SourceError as error:
            return _cuts(error)
        return {}

    def position(self, partition: int) -> int | None:
        """Where reading goes on, past what is no event."""
        # The client's own method raises what it has found out about a cut, and forgets it.
        state = self._consumer._subscription.assignment.get(self._at(partition))
        return None if state is None or state.position is None else int(state.position.offset)

    def poll(self, limit: int, timeout: float) -> list[Any]:
        with raising(SourceError, self._what):
            batches = self._consumer.poll(timeout_ms=math.ceil(timeout * 1000), max_records=limit)
        return [record for records in batches.values() for record in records]

    def heard(self, partitions: Collection[int]) -> float | None:
        """When all of these last had a leader, or answered; None where one never did."""
        answers = [self._answers.get(partition) for partition in partitions]
        known = [answer for answer in answers if answer is not None]
        return min(known) if known and len(known) == len(answers) else None

    def close(self) -> None:
        self._consumer.close(autocommit=False, timeout_ms=self._timeout)

    def _answered(self, partitions: Iterable[int]) -> None:
        self._answers |= dict.fromkeys(partitions, self._clock())

    def _updated(self, cluster: Any) -> None:
        # Asked for again and again, even while nobody polls.
        found = cluster.partitions_for_topic(self.name) or ()
        self._answered(p for p in found if cluster.leader_for_partition(self._at(p)) not in NO_LEADER)

    def _all_at(self, partitions: Collection[int]) -> list[TopicPartition]:
        return [self._at(partition) for partition in sorted(partitions)]

    def _at(self, partition: int) -> TopicPartition:
        return TopicPartition(self.name, partition)


class _Fetcher(Fetcher):  # type: ignore[misc]
    """answered(partitions): called on the client's thread for each answer. limit: of a batch, in bytes."""

    def __init__(
        self, answered: Callable[[Iterable[int]], None], limit: int, client: Any, subscriptions: Any, **configs: Any
    ) -> None:
        super().__init__(client, subscriptions, **configs)
        self._answered = answered
        self.PartitionRecords = partial(_PartitionRecords, limit, defaultdict(set))
        self._taken = 0

    def _handle_fetch_response(
        self, node_id: int, fetch_offsets: Mapping[TopicPartition, int], send_time: float, response: Any
    ) -> None:
        refused = {p.partition_index for topic in response.responses for p in topic.partitions if p.error_code}
        self._answered(at.partition for at in fetch_offsets if at.partition not in refused)
        super()._handle_fetch_response(node_id, fetch_offsets, send_time, response)

    def _append(self, drained: Mapping[TopicPartition, Any], part: Any, limit: int, update_offsets: bool) -> int:
        # An answer without records would take away the epoch of the position, and with it the notice of a cut.
        if part and part.leader_epoch == NO_EPOCH and self._subscriptions.is_assigned(part.topic_partition):
            part.leader_epoch = self._subscriptions.assignment[part.topic_partition].position.leader_epoch
        self._taken, before = self._taken if drained else 0, part.bytes_read
        count: int = super()._append(drained, part, limit, update_offsets)
        self._taken += part.bytes_read - before
        return count if self._taken < POLL_BYTES else limit


class _PartitionRecords(Fetcher.PartitionRecords):  # type: ignore[misc]
    """limit: of a batch, in bytes. suspects: by partition, as in `Batches`."""

    def __init__(
        self, limit: int, suspects: Mapping[int, set[int]], offset: int, at: TopicPartition, records: Any, **given: Any
    ) -> None:
        super().__init__(offset, at, Batches(records, limit, suspects[at.partition]), **given)

    def take(self, n: int) -> list[Any]:
        records: list[Any] = []
        start = self.bytes_read
        while len(records) < n and self.bytes_read - start < POLL_BYTES and (more := super().take(1)):
            records += more
        return records


def _cuts(error: SourceError) -> dict[int, tuple[int, int] | None]:
    if not isinstance(error.__cause__, LogTruncationError):
        raise error
    found = error.__cause__.divergent_offsets
    return {at.partition: None if cut is None else (cut.offset, cut.leader_epoch) for at, cut in found.items()}


def _by_partition(offsets: Mapping[TopicPartition, int]) -> dict[int, int]:
    return {at.partition: offset for at, offset in offsets.items()}
