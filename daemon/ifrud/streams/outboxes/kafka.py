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

_CLOSE_SECONDS = 0.5

_BATCH_BYTES = 64 * 1024
_LINGER_MS = 50
"""The client is given one record after the other, and sends what is left at once in the end. Smaller batches it would
send in between, and wake its thread for each further record."""


class KafkaOutbox:
    """Sends with acks=all and an idempotent producer; a record's key chooses its partition.

    After a failure the next call has a new producer: one that has given up a record may wait for it for ever.

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
            self._arguments = {
                **shared,
                "bootstrap_timeout_ms": timeouts.request,
                "delivery_timeout_ms": timeouts.delivery,
                "max_block_ms": timeouts.request,
            }
            self._flush_seconds = (timeouts.delivery + timeouts.request) / 1000
            self._producer: KafkaProducer | None = self._open()

    def send(self, records: Sequence[Record]) -> None:
        try:
            with raising(OutboxError, f"{self._what}: {len(records)} records not sent"):
                producer = self._producer = self._producer or self._open()
                sent = [self._sent(producer, record) for record in records]
                producer.flush(self._flush_seconds)
                for answer in sent:
                    answer.get(timeout=0)
        except OutboxError:
            self.close()
            raise

    def _sent(self, producer: KafkaProducer, record: Record) -> Any:
        key = record.key.encode() if isinstance(record.key, str) else record.key
        return producer.send(self._topic, record.value, key, headers=list(record.headers))

    def close(self) -> None:
        # Nothing is left to send: a send that failed has raised its error.
        if self._producer is not None:
            with suppress(KafkaTimeoutError):
                self._producer.close(timeout=_CLOSE_SECONDS)
            self._producer = None

    def _open(self) -> KafkaProducer:
        return KafkaProducer(
            **self._arguments, acks="all", enable_idempotence=True, batch_size=_BATCH_BYTES, linger_ms=_LINGER_MS
        )

    def _check_topic(self, client_arguments: Mapping[str, Any]) -> None:
        # The producer would create the topic, with one partition: it ignores allow_auto_create_topics=False.
        with KafkaAdminClient(**client_arguments) as admin:
            (found,) = admin.describe_topics([self._topic])
        error = for_code(found["error_code"])
        if error is UnknownTopicOrPartitionError:
            raise OutboxError(f"{self._what} does not exist; create it, or mend the URL")
        if error is not NoError:
            raise OutboxError(f"{self._what}: {error()}")
