"""Records of other systems that say that something was deleted: tombstones of Kafka, and Debezium's change events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json, to_json

from ifru.errors import RequestError
from ifru.requests import Request, parse_request
from ifrud.settings import DecodeSettings
from ifrud.streams.sources import Event

_ROW_OPERATIONS = ("c", "r", "u")
"""Rows that were inserted, read for a snapshot, or changed."""


_MOST_MS = 10**18
"""No time is so far away; larger numbers would be none of a float."""


@dataclass(frozen=True)
class Change:
    """What a record says. request: None where it asks for nothing, such as a row that was inserted."""

    request: Request | None


NOTHING = Change(None)


@dataclass(frozen=True)
class Changes:
    """Reads such records of a stream, as far as settings say that it has some. stream: its name.

    They have no ids of their own. A request's source is `tombstone` or `debezium`, and its id the place of the record
    with the time that the record has: `STREAM/PARTITION/OFFSET@MILLISECONDS`. It is the same whenever the record is
    read, and another one where a new topic, or a log that was cut back, has another record at the same place.
    """

    settings: DecodeSettings
    stream: str

    def read(self, event: Event, max_bytes: int) -> Change | None:
        """What a record says; None where it is none of these, but a request or nothing known.

        Raises RequestError with the field that is wrong; its text holds none of the values.
        """
        if event.problem is not None or any(name.lower().startswith("ce_") for name, _ in event.headers):
            return None
        if event.payload is None:
            return self._of_null(event)
        if self.settings.values == "ignored":
            return NOTHING
        if not self.settings.reads_debezium or len(event.payload) > max_bytes:
            return None
        envelope = _envelope(event.payload)
        return None if envelope is None else self._of_envelope(envelope, event)

    def _of_null(self, event: Event) -> Change | None:
        if self.settings.reads_debezium:
            # Debezium writes one behind each event of a deletion, so that compaction drops the row.
            return NOTHING
        if self.settings.tombstones == "none":
            return None
        if event.key is None:
            raise RequestError("key", f"is missing; of a record without a value it is the id of the {self._side}")
        try:
            subject = event.key.decode()
        except UnicodeDecodeError:
            raise RequestError("key", "is not UTF-8") from None
        if event.timestamp is None:
            raise RequestError("timestamp", "is missing; the record needs one, since it has no other time")
        content = {"type": f"erase_{self._side}", "subject": subject}
        return Change(self._request("tombstone", event, event.timestamp, content, {"subject": "key"}))

    @property
    def _side(self) -> str:
        return self.settings.tombstones

    def _of_envelope(self, envelope: Mapping[str, Any], event: Event) -> Change:
        operation = envelope["op"]
        if operation in _ROW_OPERATIONS:
            return NOTHING
        if operation != "d":
            raise RequestError(
                "op", "is no change of a row; understood are d (deleted), and c, r, u, which ask nothing"
            )
        row = envelope.get("before")
        if not isinstance(row, dict):
            raise RequestError("before", "is not the row that was deleted, as an object")
        time = envelope.get("ts_ms")
        if time is None:
            time = event.timestamp
        if not isinstance(time, int) or isinstance(time, bool):
            raise RequestError("ts_ms", "is not a number of milliseconds, and the record has no timestamp either")
        user, item = self.settings.debezium_user, self.settings.debezium_item
        names = {"user": user, "item": item}
        found = {side: _cell(row, column) for side, column in names.items() if column is not None}
        if len(found) == 2:
            content: dict[str, object] = {"type": "erase_interactions", "interactions": [list(found.values())]}
            fields = {"interactions.0.0": f"before.{user}", "interactions.0.1": f"before.{item}"}
        else:
            [(side, subject)] = found.items()
            content = {"type": f"erase_{side}", "subject": subject}
            fields = {"subject": f"before.{names[side]}"}
        fields["time"] = "ts_ms"
        return Change(self._request("debezium", event, time, content, fields))

    def _request(
        self, source: str, event: Event, time: int, content: Mapping[str, object], fields: Mapping[str, str]
    ) -> Request:
        """fields: of the request -> where the record has them."""
        name = f"{self.stream}/{event.partition}/{event.offset}@{time}"
        try:
            seconds = min(max(time, -_MOST_MS), _MOST_MS) / 1000
            return parse_request(to_json({"id": name, "source": source, "time": seconds, **content}))
        except RequestError as error:
            field = fields.get(error.field, error.field)
            raise RequestError(field, str(error).removeprefix(f"{error.field}: ")) from None


def _envelope(payload: bytes) -> Mapping[str, Any] | None:
    """The envelope of Debezium, with or without `schema` around it; None where a payload is none."""
    if b'"op"' not in payload:
        return None
    try:
        document = from_json(payload)
    except ValueError:
        return None
    inner = document.get("payload", document) if isinstance(document, dict) else None
    return inner if isinstance(inner, dict) and "op" in inner and "type" not in inner else None


def _cell(row: Mapping[str, Any], column: str) -> str:
    """An id. Databases number their rows, and ids are text here."""
    value = row.get(column)
    if value is None:
        raise RequestError(
            f"before.{column}",
            f"is {'null' if column in row else 'missing'}; have the database log whole rows (PostgreSQL: REPLICA "
            "IDENTITY FULL), or mend the name of the column in the settings",
        )
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise RequestError(f"before.{column}", "is neither text nor a whole number")
    return str(value)
