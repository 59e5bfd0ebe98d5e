"""Sources of events: a JSONL file that grows, or a Kafka topic."""

from __future__ import annotations

import time
from collections.abc import Callable

from ifrud.settings import KafkaSettings
from ifrud.streams.endpoints import FileEndpoint, parse_endpoint
from ifrud.streams.sources.loss import LostEventsError, LostRange
from ifrud.streams.sources.protocol import Event, Source, SourceError

__all__ = ["Event", "LostEventsError", "LostRange", "Source", "SourceError", "open_source"]


def open_source(
    url: str,
    kafka: KafkaSettings | None = None,
    *,
    accept_lost: str | None = None,
    clock: Callable[[], float] = time.time,
    wait: Callable[[float], None] = time.sleep,
) -> Source:
    """The source that a URL names (file:///DIR/NAME.jsonl or kafka://HOST:PORT[,HOST:PORT...]/TOPIC).

    kafka: how brokers are reached; not used for a file. accept_lost: the word of a loss that is accepted.
    clock: seconds since the epoch, for the time of receipt. wait: sleeps for that many seconds.
    Raises EndpointError for another URL, SourceError where the file's folder or the topic is missing or out of reach.
    """
    endpoint = parse_endpoint(url)
    # Commands that only send events wait neither for the client nor for what reads versions.
    if isinstance(endpoint, FileEndpoint):
        from ifrud.streams.sources.jsonl import JsonlSource

        return JsonlSource(endpoint.path, clock=clock, wait=wait, accept_lost=accept_lost)
    from ifrud.streams.sources.kafka import KafkaSource

    settings = kafka or KafkaSettings()
    return KafkaSource.open(endpoint.servers, endpoint.topic, settings, clock=clock, wait=wait, accept_lost=accept_lost)
