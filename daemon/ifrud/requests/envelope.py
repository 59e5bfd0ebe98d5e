"""How a request is wrapped: the bare payload, or a CloudEvent 1.0 in structured or binary mode."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_core import from_json, to_json

from ifru.errors import RequestError
from ifru.requests import Request, parse_request
from ifrud.streams.sources import Event

SPEC_VERSION = "1.0"
STRUCTURED = "application/cloudevents+json"
_BINARY_PREFIX = "ce_"
_ATTRIBUTES = ("specversion", "type", "id", "source", "subject", "time", "deadline")
_COPIED = ("id", "source", "subject", "time", "deadline")
_DATA = ("interactions", "before", "label", "request", "deadline")


def decode(event: Event, max_bytes: int) -> Request:
    """The request that an event carries.

    A content type application/cloudevents+json, or a JSON object with `specversion`, is a CloudEvent in structured
    mode; headers ce_* are one in binary mode, whose data may be absent; everything else is the bare request.
    Raises RequestError with the field that is wrong, or what the source found wrong; its text holds none of the values.
    """
    if event.problem is not None:
        raise event.problem
    payload = event.payload
    if payload is not None and len(payload) > max_bytes:
        raise RequestError("payload", f"has {len(payload)} bytes, at most {max_bytes} are allowed")
    headers = {name.lower(): value for name, value in event.headers}
    content_type = headers.get("content-type", b"").partition(b";")[0].strip().lower()
    if content_type.startswith(b"application/cloudevents"):
        if content_type != STRUCTURED.encode():
            raise RequestError("content-type", f"is a form of CloudEvents that is not understood; send {STRUCTURED}")
        return _structured(_object(payload))
    if any(name.startswith(_BINARY_PREFIX) for name in headers):
        return _binary(headers, payload)
    if payload is not None and b'"specversion"' in payload:
        document = _object(payload)
        if "specversion" in document:
            return _structured(document)
    if payload is None:
        raise RequestError("payload", "is null")
    return parse_request(payload)


def _structured(document: Mapping[str, Any]) -> Request:
    attributes = {name: value for name, value in document.items() if value is not None}
    if "data_base64" in attributes:
        raise RequestError("data_base64", "is not understood; send a JSON object as data")
    data = attributes.pop("data", {})
    if not isinstance(data, dict):
        raise RequestError("data", "is not a JSON object")
    return _request(attributes, data)


def _binary(headers: Mapping[str, bytes], payload: bytes | None) -> Request:
    attributes = {
        name: _text(name, headers[_BINARY_PREFIX + name]) for name in _ATTRIBUTES if _BINARY_PREFIX + name in headers
    }
    return _request(attributes, _object(payload) if payload else {})


def _request(attributes: Mapping[str, Any], data: Mapping[str, Any]) -> Request:
    if "specversion" not in attributes:
        raise RequestError("specversion", f"is missing; it is {SPEC_VERSION}")
    if attributes["specversion"] != SPEC_VERSION:
        raise RequestError("specversion", f"is not {SPEC_VERSION}, the only one that is understood")
    source = attributes.get("source")
    if source is None:
        raise RequestError("source", "is missing")
    if not isinstance(source, str) or not source:
        raise RequestError("source", "is not a text of at least one character")
    fields = {name: data[name] for name in _DATA if name in data}
    fields |= {name: attributes[name] for name in _COPIED if name in attributes}
    if "type" in attributes:
        kind = attributes["type"]
        fields["type"] = kind.rpartition(".")[2] if isinstance(kind, str) else kind
    return parse_request(to_json(fields))


def _object(payload: bytes | None) -> dict[str, Any]:
    if payload is None:
        raise RequestError("payload", "is null")
    try:
        document = from_json(payload)
    except ValueError:
        raise RequestError("payload", "is not valid JSON") from None
    if not isinstance(document, dict):
        raise RequestError("payload", "is not a JSON object")
    return document


def _text(name: str, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise RequestError(name, "is not UTF-8") from None
