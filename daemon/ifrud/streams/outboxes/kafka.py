"""A Kafka topic as an outbox."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from kafka import KafkaAdminClient, KafkaProducer
from kafka.errors import KafkaTimeoutError, NoError, UnknownTopicOrPartitionError, for_code

from ifrud.settings import KafkaSettings
from ifrud.streams.kafka_client import DEFAULT_TIMEOUTS, Timeouts, arguments, connecting, raising
from ifrud.streams.outboxes.protocol import OutboxError, Record

_CLOSE_SECONDS = 5.0


class KafkaOutbox:
    """Sends with acks=all and an idempotent producer; a record's key chooses its partition.

    Raises OutboxError where no broker answers or the topic does not exist.
    """

    def __init__(
        self, servers: Sequence[str], topic: str, settings: KafkaSettings, timeouts: Timeouts = DEFAULT_TIMEOUTS
    ) -> None:
        self._topic = topic
        self._what = f"Kafka topic {topic!r}"
        with connecting(OutboxError, servers):
            shared = arguments(servers, settings, timeouts)
            self._check_topic(shared)
            self._producer = KafkaProducer(
                **shared,
                acks="all",
                enable_idempotence=True,
                delivery_timeout_ms=timeouts.delivery,
                max_block_ms=timeouts.request,
            )

    def send(self, records: Sequence[Record]) -> None:
        with raising(OutboxError, f"{self._what}: {len(records)} records not sent"):
            sent = [self._sent(record) for record in records]
            self._producer.flush()
            for answer in sent:
                answer.get(timeout=0)

    def _sent(self, record: Record) -> Any:
        key = record.key.encode() if isinstance(record.key, str) else record.key
        return self._producer.send(self._topic, record.value, key, headers=list(record.headers))

    def close(self) -> None:
        # Nothing is left to send: a send that failed has raised its error.
        with suppress(KafkaTimeoutError):
            self._producer.close(timeout=_CLOSE_SECONDS)

    def _check_topic(self, client_arguments: Mapping[str, Any]) -> None:
        # The producer would create the topic, with one partition: it ignores allow_auto_create_topics=False.
        with KafkaAdminClient(**client_arguments) as admin:
            (found,) = admin.describe_topics([self._topic])
        error = for_code(found["error_code"])
        if error is UnknownTopicOrPartitionError:
            raise OutboxError(f"{self._what} does not exist; create it, or mend the URL")
        if error is not NoError:
            raise OutboxError(f"{self._what}: {error()}")
