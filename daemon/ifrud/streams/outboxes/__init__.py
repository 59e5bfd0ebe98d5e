"""Outboxes: where receipts, dead letters and the requests of `submit` are sent."""

from __future__ import annotations

from ifrud.settings import KafkaSettings
from ifrud.streams.endpoints import FileEndpoint, parse_endpoint
from ifrud.streams.outboxes.jsonl import JsonlOutbox
from ifrud.streams.outboxes.protocol import Outbox, OutboxError, Record

__all__ = ["Outbox", "OutboxError", "Record", "open_outbox"]


def open_outbox(url: str, kafka: KafkaSettings | None = None) -> Outbox:
    """The outbox that a URL names (file:///DIR/NAME.jsonl or kafka://HOST:PORT[,HOST:PORT...]/TOPIC).

    kafka: how brokers are reached; not used for a file.
    Raises EndpointError for another URL, OutboxError where the file's folder or the topic is missing or out of reach.
    """
    endpoint = parse_endpoint(url)
    if isinstance(endpoint, FileEndpoint):
        return JsonlOutbox(endpoint.path)
    # The client takes a quarter of a second to import, and a file does not need it.
    from ifrud.streams.outboxes.kafka import KafkaOutbox

    return KafkaOutbox(endpoint.servers, endpoint.topic, kafka or KafkaSettings())
