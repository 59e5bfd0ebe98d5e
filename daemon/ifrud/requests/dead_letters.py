"""Dead letters: events that were not carried out, with what is wrong with them, their position and their content."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict
from pydantic_core import to_json

from ifru.errors import RequestError
from ifrud.streams.outboxes import Record
from ifrud.streams.sources import Event

PAYLOAD_BYTES = 256 * 1024
"""Payloads up to this size are kept whole. With ATTRIBUTE_BYTES it keeps every dead letter under Kafka's 1 MB."""

TRUNCATED_BYTES = 1024
"""What is kept of a larger payload."""

ATTRIBUTE_BYTES = 64 * 1024
"""Key and headers are kept where their JSON form, taken together, is not larger; else they are left out."""

Payload = Literal["full", "digest"]
"""What is kept of the original. full: all of it, up to the bounds above. digest: the payload's size and SHA-256."""

_MOST_ESCAPED = 2
"""Text whose JSON form is longer than this many times its bytes is kept as base64."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Place(_Frozen):
    """Where an event lies: topic or file name, partition, offset (records on Kafka, bytes in a file)."""

    source: str
    partition: int
    offset: int


class Header(_Frozen):
    """One header. `value` where it is text, else `value_base64`."""

    name: str
    value: str | None
    value_base64: str | None


class DeadLetter(_Frozen):
    """An event that was not carried out. It may hold the original, which may be personal data.

    reason: starts with the field. payload: where it is text; null where there was none or it is in payload_base64.
    payload_truncated: of the payload at most the first 1024 bytes are kept. payload_size, payload_sha256: of the whole.
    attributes_left_out: there were a key or headers, and they are not kept.
    """

    reason: str
    field: str
    position: Place
    time: AwareDatetime
    payload: str | None
    payload_base64: str | None
    payload_truncated: bool
    payload_size: int | None
    payload_sha256: str | None
    key: str | None
    key_base64: str | None
    headers: list[Header]
    attributes_left_out: bool

    def record(self) -> Record:
        """The record to send. Its key is the position, so it is the same when the letter is repeated."""
        at = self.position
        return Record(f"{at.source}/{at.partition}/{at.offset}", self.model_dump_json().encode())


@dataclass(frozen=True)
class Letters:
    """Writes the dead letters of one source. source: its name. utc: the time of day. payload: what is kept."""

    source: str
    utc: Callable[[], datetime]
    payload: Payload = "full"

    def of(self, event: Event, error: RequestError) -> DeadLetter:
        """The dead letter of an event that was not carried out."""
        return dead_letter(event, error, self.source, self.utc(), self.payload)


def dead_letter(event: Event, error: RequestError, source: str, time: datetime, kept: Payload = "full") -> DeadLetter:
    """The dead letter of an event. source: name of the source it came from."""
    payload = event.payload
    text, base64 = _kept(payload) if kept == "full" else (None, None)
    key, headers = _written(event.key), [_header(name, value) for name, value in event.headers]
    present = event.key is not None or len(event.headers) > 0
    left_out = present and (kept == "digest" or len(to_json([key, headers])) > ATTRIBUTE_BYTES)
    if left_out:
        key, headers = (None, None), []
    return DeadLetter(
        reason=str(error),
        field=error.field,
        position=Place(source=source, partition=event.partition, offset=event.offset),
        time=time.astimezone(UTC),
        payload=text,
        payload_base64=base64,
        payload_truncated=payload is not None and (kept == "digest" or len(payload) > PAYLOAD_BYTES),
        payload_size=None if payload is None else len(payload),
        payload_sha256=None if payload is None else sha256(payload).hexdigest(),
        key=key[0],
        key_base64=key[1],
        headers=headers,
        attributes_left_out=left_out,
    )


def _kept(payload: bytes | None) -> tuple[str | None, str | None]:
    if payload is None or len(payload) <= PAYLOAD_BYTES:
        return _written(payload)
    try:
        payload.decode()
    except UnicodeDecodeError:
        return _written(payload[:TRUNCATED_BYTES])
    # The cut may fall into a character, whose first bytes are dropped then.
    return _written(payload[:TRUNCATED_BYTES].decode(errors="ignore").encode())


def _written(data: bytes | None) -> tuple[str | None, str | None]:
    """Bytes as (text, base64), one of which is None."""
    if data is None:
        return None, None
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None, b64encode(data).decode()
    if len(to_json(text)) > _MOST_ESCAPED * len(data) + 2:
        return None, b64encode(data).decode()
    return text, None


def _header(name: str, value: bytes) -> Header:
    text, base64 = _written(value)
    return Header(name=name, value=text, value_base64=base64)
