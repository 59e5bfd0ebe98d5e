"""What the daemon reads and sends, for other programs: JSON Schema of documents, AsyncAPI of the streams."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from ifru.requests import Request
from ifrud.requests.dead_letters import DeadLetter
from ifrud.requests.envelope import SPEC_VERSION, STRUCTURED
from ifrud.requests.receipts import Receipt

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ASYNCAPI = "3.0.0"
API_VERSION = "1.0.0"
"""Of what is read and sent; it changes where programs that follow these documents have to."""

_MEANINGS = {
    "id": "Tells the request from others of its source. Sent again, it gets the same receipt.",
    "source": "Who sent it; only needed where ids of several senders clash.",
    "time": "When it was made, with a time zone.",
    "deadline": "Until when it has to be answered. It is shown, and changes nothing else.",
    "subject": "Id of the user or the item, as the model's data spells it.",
    "interactions": "Pairs of a user's id and an item's id.",
    "before": "Rows that are older than this go.",
    "label": "The right label, as the model learns it.",
    "request": "The request that is meant.",
}
_RELEASES: list[dict[str, Any]] = [
    {"required": [name], "properties": {name: {"type": kind}}}
    for name, kind in (("subject", "string"), ("interactions", "array"))
]
_CLOUD_EVENT: dict[str, Any] = {
    "title": "CloudEvent",
    "description": "A request as a CloudEvent in structured mode. What else it holds is ignored.",
    "type": "object",
    "properties": {
        "specversion": {"const": SPEC_VERSION},
        "type": {"type": "string", "description": "Its last part, after a dot, is the type of the request."},
        "id": {"type": "string", "minLength": 1, "maxLength": 1024, "description": _MEANINGS["id"]},
        "source": {"type": "string", "minLength": 1, "maxLength": 1024, "description": _MEANINGS["source"]},
        "time": {"type": "string", "format": "date-time", "description": _MEANINGS["time"]},
        "subject": {"type": "string", "minLength": 1, "maxLength": 1024, "description": _MEANINGS["subject"]},
        "deadline": {"type": "string", "format": "date-time", "description": _MEANINGS["deadline"]},
        "data": {"type": "object", "description": "The other fields of the request, such as `interactions`."},
    },
    "required": ["specversion", "type", "id", "source", "time"],
}


def documents() -> dict[str, dict[str, Any]]:
    """File name -> document."""
    found = {
        "request": _request(),
        "cloud-event": _CLOUD_EVENT,
        "receipt": _plain(Receipt.model_json_schema()),
        "dead-letter": _plain(DeadLetter.model_json_schema(mode="serialization")),
    }
    schemas = {
        f"{name}.schema.json": {"$schema": DIALECT, "$id": f"urn:ifru:{name}", **schema}
        for name, schema in found.items()
    }
    return {**schemas, "asyncapi.json": _asyncapi()}


def written(document: Mapping[str, Any]) -> str:
    """A document as it stands in its file."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _request() -> dict[str, Any]:
    adapter: TypeAdapter[Request] = TypeAdapter(Annotated[Request, Field(discriminator="type")])
    schema = _plain(adapter.json_schema())
    del schema["discriminator"]
    for each in schema["$defs"].values():
        for name, field in each["properties"].items():
            field.pop("title", None)
            if name in _MEANINGS:
                field["description"] = _MEANINGS[name]
    schema["$defs"]["Release"]["oneOf"] = _RELEASES
    about = "What is asked for. Fields that no type knows are ignored."
    return {"title": "Request", "description": about, **schema}


def _plain(schema: Any) -> Any:
    """A schema that readers of older drafts understand too: a list whose places are all alike has one kind of item."""
    if isinstance(schema, list):
        return [_plain(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: _plain(each) for name, each in schema.items()}
    if "prefixItems" in found:
        found["items"] = found.pop("prefixItems")[0]
    return found


def _asyncapi() -> dict[str, Any]:
    channels = {
        "requests": (("request", "cloudEvent"), "The setting `events` says where they are."),
        "receipts": (("receipt",), "The setting `receipts` says where they go."),
        "deadLetters": (("deadLetter",), "The setting `dead_letters` says where they go."),
    }
    return {
        "asyncapi": ASYNCAPI,
        "id": "urn:ifru:ifrud",
        "info": {
            "title": "ifrud",
            "version": API_VERSION,
            "description": "Deletion requests in; receipts, and dead letters for what is no request, out.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {
            name: {
                "address": None,
                "description": about,
                "messages": {message: {"$ref": f"#/components/messages/{message}"} for message in messages},
            }
            for name, (messages, about) in channels.items()
        },
        "operations": {
            "readRequests": _operation("receive", "requests", "Every request is answered by a receipt."),
            "sendReceipts": _operation("send", "receipts", "Sent when the version is durable."),
            "sendDeadLetters": _operation("send", "deadLetters", "Sent before the version that answers the batch."),
        },
        "components": {
            "messages": {
                "request": _message("request", "A request", "any; its partition keeps the order"),
                "cloudEvent": _message("cloud-event", "A request as a CloudEvent", "any", STRUCTURED),
                "receipt": _message("receipt", "How a request was answered", "`request_id`"),
                "deadLetter": _message("dead-letter", "An event that was not carried out", "the event's position"),
            }
        },
    }


def _operation(action: str, channel: str, summary: str) -> dict[str, Any]:
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}, "summary": summary}


def _message(name: str, summary: str, key: str, content_type: str = "application/json") -> dict[str, Any]:
    return {
        "name": name,
        "summary": summary,
        "contentType": content_type,
        "payload": {"$ref": f"./{name}.schema.json"},
        "bindings": {"kafka": {"key": {"type": "string", "description": key}}},
    }
