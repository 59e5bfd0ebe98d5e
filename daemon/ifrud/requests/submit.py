"""Sends requests to the stream that a daemon reads."""

from __future__ import annotations

from collections.abc import Iterable

from ifru.errors import IfruError, RequestError
from ifrud.requests.envelope import decode
from ifrud.settings import KafkaSettings
from ifrud.streams.outboxes import Record, open_outbox
from ifrud.streams.sources import Event


class SubmitError(IfruError):
    """An event that the daemon would not understand. Nothing was sent."""


def submit(events: Iterable[bytes], url: str, kafka: KafkaSettings | None = None, *, max_bytes: int) -> int:
    """Append events (bare requests or structured CloudEvents, one JSON document each) to a file or a topic.

    All of them are checked first, as the daemon would (max_bytes: its max_event_bytes), and none is sent where one is
    wrong. They are durable when the call returns. Events of one subject share a key, so they keep their order.
    Returns how many were sent. Raises SubmitError, EndpointError or OutboxError.
    """
    records = [_record(number, event, max_bytes) for number, event in enumerate(events, start=1)]
    outbox = open_outbox(url, kafka)
    try:
        outbox.send(records)
    finally:
        outbox.close()
    return len(records)


def _record(number: int, payload: bytes, max_bytes: int) -> Record:
    try:
        request = decode(Event(payload, None, (), 0, 0, 0, 0.0), max_bytes)
    except RequestError as error:
        raise SubmitError(f"event {number}: {error}; nothing was sent") from None
    # In valid JSON a line break can only stand between tokens, where a space means the same.
    return Record(getattr(request, "subject", None) or request.id, payload.replace(b"\n", b" "))
