"""Sources of events: a JSONL file that grows, or a Kafka topic."""

from __future__ import annotations

import time
from collections.abc import Callable

from ifrud.settings import KafkaSettings
from ifrud.streams.endpoints import FileEndpoint, parse_endpoint
from ifrud.streams.sources.jsonl import JsonlSource
from ifrud.streams.sources.protocol import Event, LostEventsError, LostRange, Source, SourceError

__all__ = ["Event", "LostEventsError", "LostRange", "Source", "SourceError", "open_source"]


def open_source(
    url: str,
    kafka: KafkaSettings | None = None,
    *,
    clock: Callable[[], float] = time.time,
    wait: Callable[[float], None] = time.sleep,
) -> Source:
    """The source that a URL names (file:///DIR/NAME.jsonl or kafka://HOST:PORT[,HOST:PORT...]/TOPIC).

    kafka: how brokers are reached, and what was given up; not used for a file.
    clock: seconds since the epoch, for the time of receipt. wait: sleeps for that many seconds.
    Raises EndpointError for another URL, SourceError where the file's folder or the topic is missing or out of reach.
    """
    endpoint = parse_endpoint(url)
    if isinstance(endpoint, FileEndpoint):
        return JsonlSource(endpoint.path, clock=clock, wait=wait)
    # The client takes a quarter of a second to import, and a file does not need it.
    from ifrud.streams.sources.kafka import KafkaSource

    return KafkaSource(endpoint.servers, endpoint.topic, kafka or KafkaSettings(), clock=clock, wait=wait)
