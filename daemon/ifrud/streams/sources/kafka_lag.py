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


class GroupOffsets:
    """Commits offsets of one topic for a group, through the admin client, which is connected on first use.

    wait: sleeps for seconds. timeout: milliseconds for each answer.
    """

    def __init__(
        self,
        topic: str,
        group: str,
        client_arguments: Mapping[str, Any],
        wait: Callable[[float], None],
        timeout: int,
    ) -> None:
        self._topic = topic
        self._group = group
        self._arguments = {**client_arguments, "bootstrap_timeout_ms": timeout, "request_timeout_ms": timeout}
        self._wait = wait
        self._admin: KafkaAdminClient | None = None

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Commit the next offset of each partition. Raises SourceError where the broker refuses, or keeps refusing."""
        for pause in (*PAUSES, None):
            error = self._attempt(offsets)
            if error is None:
                return
            self.close()
            if pause is None or not error.retriable:
                raise SourceError(
                    f"Kafka refused the offsets of group {self._group!r} for topic {self._topic!r}: {error}; "
                    "may the daemon write this group, and does nobody else consume in it?"
                )
            self._wait(pause)

    def close(self) -> None:
        """Close the connection; the next one finds the group's coordinator anew."""
        if self._admin is not None:
            self._admin.close()
            self._admin = None

    def _attempt(self, offsets: Mapping[int, int]) -> KafkaError | None:
        wanted = {TopicPartition(self._topic, p): OffsetAndMetadata(after, "", -1) for p, after in offsets.items()}
        try:
            if self._admin is None:
                self._admin = KafkaAdminClient(**self._arguments)
            answers = self._admin.alter_group_offsets(self._group, wanted)
        except KafkaError as error:
            return error
        return next((kind() for kind in answers.values() if kind is not NoError), None)
