"""Offsets of a consumer group without members, for tools that watch lag."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kafka import KafkaAdminClient, TopicPartition
from kafka.errors import KafkaError, NoError
from kafka.structs import OffsetAndMetadata

from ifrud.streams.sources.protocol import SourceError

PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds between attempts. A broker that creates its offsets topic, or moves it, refuses for a few seconds."""

SILENCE = 30.0
"""Seconds after a failure in which nothing is tried; then once, without a pause."""


class GroupOffsets:
    """Commits offsets of one topic for a group, through the admin client, which is connected on first use.

    clock: seconds. wait: sleeps for seconds. timeout: milliseconds for each answer.
    """

    def __init__(
        self,
        topic: str,
        group: str,
        client_arguments: Mapping[str, Any],
        clock: Callable[[], float],
        wait: Callable[[float], None],
        timeout: int,
    ) -> None:
        self._topic = topic
        self._group = group
        self._arguments = {**client_arguments, "bootstrap_timeout_ms": timeout, "request_timeout_ms": timeout}
        self._clock = clock
        self._wait = wait
        self._failed: float | None = None
        self._admin: KafkaAdminClient | None = None

    def commit(self, offsets: Mapping[int, int], positions: Mapping[int, int]) -> None:
        """Commit the next offset of each partition, and with it the position that the store has.

        Raises SourceError where the broker refuses, or keeps refusing. Says nothing for SILENCE after that.
        """
        if self._failed is not None and self._clock() - self._failed < SILENCE:
            return
        pauses = PAUSES if self._failed is None else ()
        wanted = {
            TopicPartition(self._topic, p): OffsetAndMetadata(after, str(positions[p]), -1)
            for p, after in offsets.items()
        }
        for pause in (*pauses, None):
            error = self._attempt(wanted)
            if error is None:
                self._failed = None
                return
            self.close()
            if pause is None or not error.retriable:
                break
            self._wait(pause)
        self._failed = self._clock()
        raise SourceError(
            f"Kafka refused the offsets of group {self._group!r} for topic {self._topic!r}: {error}; "
            "may the daemon write this group, and does nobody else consume in it?"
        )

    def positions(self) -> dict[int, int]:
        """The positions that the last commit came with; nothing where they cannot be read."""
        try:
            found = self._connected().list_group_offsets({self._group: None})[self._group]
        except KafkaError:
            self.close()
            return {}
        return {
            at.partition: int(committed.metadata)
            for at, committed in found.items()
            if at.topic == self._topic and committed.metadata.isdecimal()
        }

    def close(self) -> None:
        """Close the connection; the next one finds the group's coordinator anew."""
        if self._admin is not None:
            self._admin.close()
            self._admin = None

    def _connected(self) -> KafkaAdminClient:
        if self._admin is None:
            self._admin = KafkaAdminClient(**self._arguments)
        return self._admin

    def _attempt(self, wanted: Mapping[TopicPartition, OffsetAndMetadata]) -> KafkaError | None:
        try:
            answers = self._connected().alter_group_offsets(self._group, wanted)
        except KafkaError as error:
            return error
        return next((kind() for kind in answers.values() if kind is not NoError), None)
