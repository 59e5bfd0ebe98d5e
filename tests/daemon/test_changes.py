"""Tombstones and Debezium's change events: which of them are requests, and what is said of the others."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from ifru.errors import RequestError
from ifru.requests import EraseInteractions, EraseItem, EraseUser
from ifrud.requests.changes import NOTHING, Changes
from ifrud.settings import DecodeSettings
from ifrud.streams.sources import Event

MILLISECONDS = 1_763_719_200_250
TIME = datetime(2025, 11, 21, 10, 0, 0, 250_000, tzinfo=UTC)
ROW = {"user_id": 7, "item_id": "i-1", "rating": 4.5}
DELETED = {"before": ROW, "after": None, "op": "d", "ts_ms": MILLISECONDS, "source": {"table": "ratings"}}
BOTH = {"debezium_user": "user_id", "debezium_item": "item_id"}


def changes(**settings: Any) -> Changes:
    return Changes(DecodeSettings(**settings), "ratings")


def event(payload: Any, key: bytes | None = None, timestamp: int | None = MILLISECONDS, **changes: Any) -> Event:
    content = None if payload is None else json.dumps(payload).encode()
    return Event(content, key, changes.get("headers", ()), 2, changes.get("offset", 17), 18, 0.0, None, timestamp)


def refused(event: Event, **settings: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        changes(**settings).read(event, 10_000)
    return caught.value


@pytest.mark.parametrize(("side", "kind"), [("user", EraseUser), ("item", EraseItem)])
def test_a_tombstone_erases_the_one_whose_id_is_its_key(side: str, kind: type) -> None:
    found = changes(tombstones=side).read(event(None, "é-7".encode()), 10_000)
    assert found is not None
    request = found.request
    assert isinstance(request, kind)
    assert isinstance(request, EraseUser | EraseItem)
    assert (request.subject, request.time) == ("é-7", TIME)
    assert request.identity == ("tombstone", f"ratings/2/17@{MILLISECONDS}")


@pytest.mark.parametrize(
    ("key", "timestamp", "field"),
    [(None, 1, "key"), (b"", 1, "key"), (b"\xff", 1, "key"), (b"x" * 1025, 1, "key"), (b"u", None, "timestamp")],
)
def test_a_tombstone_that_names_nobody_is_refused_by_its_part(
    key: bytes | None, timestamp: int | None, field: str
) -> None:
    error = refused(event(None, key, timestamp), tombstones="user")
    assert error.field == field
    assert str(error).startswith(f"{field}: ")


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_row_that_debezium_saw_deleted_is_an_interaction(wrapped: bool) -> None:
    payload = {"schema": {"type": "struct", "op": "x"}, "payload": DELETED} if wrapped else DELETED
    found = changes(**BOTH).read(event(payload, timestamp=None), 10_000)
    assert found is not None
    request = found.request
    assert isinstance(request, EraseInteractions)
    assert request.interactions == [("7", "i-1")]
    assert (request.identity, request.time) == (("debezium", f"ratings/2/17@{MILLISECONDS}"), TIME)


@pytest.mark.parametrize(("side", "subject"), [("user", "7"), ("item", "i-1")])
def test_with_one_column_a_deleted_row_is_a_user_or_an_item(side: str, subject: str) -> None:
    found = changes(**{f"debezium_{side}": f"{side}_id"}).read(event(DELETED), 10_000)
    assert found is not None
    assert isinstance(found.request, EraseUser | EraseItem)
    assert (found.request.type, found.request.subject) == (f"erase_{side}", subject)


def test_where_debezium_tells_no_time_that_of_the_record_counts() -> None:
    found = changes(**BOTH).read(event({**DELETED, "ts_ms": None}), 10_000)
    assert found is not None
    assert found.request is not None
    assert found.request.time == TIME


MALFORMED: list[tuple[str, dict[str, Any]]] = [
    ("op", {"op": "t"}),
    ("op", {"op": 7}),
    ("before", {"before": None}),
    ("before", {"before": "7"}),
    ("before.user_id", {"before": {"item_id": "i"}}),
    ("before.user_id", {"before": {**ROW, "user_id": None}}),
    ("before.user_id", {"before": {**ROW, "user_id": True}}),
    ("before.user_id", {"before": {**ROW, "user_id": 7.5}}),
    ("before.user_id", {"before": {**ROW, "user_id": ""}}),
    ("before.item_id", {"before": {**ROW, "item_id": "x" * 1025}}),
    ("ts_ms", {"ts_ms": "soon"}),
    ("ts_ms", {"ts_ms": 10**30}),
    ("ts_ms", {"ts_ms": 10**400}),
    ("ts_ms", {"ts_ms": -(10**400)}),
]


@pytest.mark.parametrize(("field", "wrong"), MALFORMED)
def test_a_malformed_change_event_names_the_part_that_is_wrong_and_no_value(field: str, wrong: dict[str, Any]) -> None:
    error = refused(event({**DELETED, **wrong}), **BOTH)
    assert error.field == field
    assert "7" not in str(error).removeprefix(field)


def test_without_any_time_a_change_event_is_refused() -> None:
    assert refused(event({**DELETED, "ts_ms": None}, timestamp=None), **BOTH).field == "ts_ms"


@pytest.mark.parametrize("operation", ["c", "r", "u"])
def test_other_changes_of_rows_ask_for_nothing(operation: str) -> None:
    assert changes(**BOTH).read(event({**DELETED, "op": operation}), 10_000) == NOTHING


def test_the_tombstone_behind_a_deletion_asks_for_nothing_whatever_was_read_before() -> None:
    assert changes(**BOTH).read(event(None, b'{"id": 3}'), 10_000) == NOTHING


def test_another_record_at_the_same_place_is_another_request() -> None:
    read = changes(tombstones="user")
    identities = set()
    for timestamp in (MILLISECONDS, MILLISECONDS, MILLISECONDS + 1):
        found = read.read(event(None, b"u", timestamp), 10_000)
        assert found is not None
        assert found.request is not None
        identities.add(found.request.identity)
    assert len(identities) == 2


BARE = {"id": "r", "type": "erase_user", "subject": "u", "time": "2026-11-21T10:00:00Z"}


@pytest.mark.parametrize("settings", [{}, {"tombstones": "user"}, BOTH])
@pytest.mark.parametrize("payload", [BARE, {**BARE, "op": "d"}, {"payload": 5, "op": 7, "type": "x"}, ["op"], "op", 5])
def test_what_is_no_change_is_left_to_others(settings: dict[str, Any], payload: Any) -> None:
    assert changes(**settings).read(event(payload), 10_000) is None


def test_nothing_is_read_that_is_not_set() -> None:
    assert changes().read(event(None, b"u"), 10_000) is None
    assert changes(tombstones="user").read(event(DELETED), 10_000) is None
    assert changes(**BOTH).read(event(DELETED), 10) is None


def test_a_cloud_event_without_data_is_no_tombstone() -> None:
    carried = event(None, b"u", headers=(("ce_id", b"1"),))
    assert changes(tombstones="user").read(carried, 10_000) is None


def test_rows_of_a_table_ask_for_nothing_where_that_is_set() -> None:
    assert changes(tombstones="user", values="ignored").read(event({"name": "x"}), 1) == NOTHING


@pytest.mark.parametrize(
    "settings",
    [{"tombstones": "user", **BOTH}, {"values": "ignored"}, {"values": "ignored", **BOTH}, {"debezium_user": ""}],
)
def test_settings_under_which_requests_would_be_lost_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DecodeSettings(**settings)
