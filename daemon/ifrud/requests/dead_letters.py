"""Dead letters: events that were not carried out, with what is wrong with them, their position and their content."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Literal, get_args

from pydantic import AwareDatetime, BaseModel, ConfigDict
from pydantic_core import to_json

from ifru.errors import RequestError
from ifru.requests import Request
from ifrud.streams.outboxes import Record
from ifrud.streams.sources import Event

FIELDS = tuple(
    sorted(
        {name for request in get_args(Request) for name in request.model_fields}
        | {"payload", "record", "key", "timestamp"}  # Kafka's record
        | {"content-type", "specversion", "data", "data_base64"}  # CloudEvents
        | {"op", "ts_ms"}  # Debezium
        | {"engine", "rejected"}
    )
)
"""What a dead letter can name as wrong: its field up to the first dot."""

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

    def __str__(self) -> str:
        return f"{self.source}/{self.partition}/{self.offset}"


class Header(_Frozen):
    """One header. `value` where it is text, else `value_base64`."""

    name: str
    value: str | None
    value_base64: str | None


class DeadLetter(_Frozen):
    """An event that was not carried out. It may hold the original, which may be personal data.

    reason: starts with the field. payload: where it is text; null where there was none or it is in payload_base64.
    payload_truncated: of the payload at most the first 1024 bytes are kept. payload_size, payload_sha256: of the whole.
    attributes_left_out: there were a key or headers, and they are not kept, or could not all be read.
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
        return Record(str(self.position), self.model_dump_json().encode())

    def digest(self) -> DeadLetter:
        """The same letter without what the event held."""
        nothing = dict.fromkeys(("payload", "payload_base64", "key", "key_base64"))
        present = self.key is not None or self.key_base64 is not None or len(self.headers) > 0
        return self.model_copy(
            update=nothing
            | {
                "payload_truncated": self.payload_size is not None,
                "headers": [],
                "attributes_left_out": self.attributes_left_out or present,
            }
        )


@dataclass(frozen=True)
class Letters:
    """Writes the dead letters of one source. source: its name. utc: the time of day. payload: what is kept."""

    source: str
    utc: Callable[[], datetime]
    payload: Payload = "full"

    def of(self, event: Event, error: RequestError) -> DeadLetter:
        """The dead letter of an event that was not carried out."""
        letter = dead_letter(event, error, self.source, self.utc())
        return letter if self.payload == "full" else letter.digest()


def dead_letter(event: Event, error: RequestError, source: str, time: datetime) -> DeadLetter:
    """The dead letter of an event. source: name of the source it came from."""
    payload = event.payload
    text, base64 = _kept(payload)
    key, headers = _written(event.key), [_header(name, value) for name, value in event.headers]
    too_large = len(to_json([key, headers])) > ATTRIBUTE_BYTES
    if too_large:
        key, headers = (None, None), []
    return DeadLetter(
        reason=str(error),
        field=error.field,
        position=Place(source=source, partition=event.partition, offset=event.offset),
        time=time.astimezone(UTC),
        payload=text,
        payload_base64=base64,
        payload_truncated=payload is not None and len(payload) > PAYLOAD_BYTES,
        payload_size=None if payload is None else len(payload),
        payload_sha256=None if payload is None else sha256(payload).hexdigest(),
        key=key[0],
        key_base64=key[1],
        headers=headers,
        attributes_left_out=too_large or event.problem is not None,
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
