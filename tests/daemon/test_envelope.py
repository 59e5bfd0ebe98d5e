"""Three forms of a request, and what is said of everything else."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from ifru.errors import RequestError
from ifru.requests import Approve, EraseBefore, EraseInteractions, EraseItem, EraseUser, Rectify
from ifrud.requests.envelope import decode
from ifrud.streams.sources import Event

TIME = "2026-11-21T09:30:00Z"
BARE = {"id": "r-1", "type": "erase_user", "subject": "u-7", "time": TIME}
CLOUD = {**BARE, "specversion": "1.0", "source": "/crm", "type": "com.example.crm.erase_user"}
PAIRS = [["u-7", "i-1"], ["u-7", "i-2"]]

Headers = tuple[tuple[str, bytes], ...]


def event(payload: Any, headers: Headers = (), key: bytes | None = None) -> Event:
    if payload is not None and not isinstance(payload, bytes):
        payload = json.dumps(payload).encode()
    return Event(payload, key, headers, 0, 0, 1, 0.0)


def binary(attributes: dict[str, Any]) -> Headers:
    return tuple((f"ce_{name}", str(value).encode()) for name, value in attributes.items())


def without(fields: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key != name}


def refused(event: Event, max_bytes: int = 10_000) -> RequestError:
    with pytest.raises(RequestError) as caught:
        decode(event, max_bytes)
    return caught.value


FORMS = [
    pytest.param(event(BARE), id="bare"),
    pytest.param(event(CLOUD), id="structured"),
    pytest.param(event(CLOUD, (("content-type", b"application/cloudevents+json; charset=utf-8"),)), id="content type"),
    pytest.param(event({**CLOUD, "data": {"ignored": 1}, "datacontenttype": "application/json"}), id="with data"),
    pytest.param(event(None, binary(CLOUD)), id="binary without data"),
    pytest.param(event(b"", binary(CLOUD)), id="binary with empty data"),
    pytest.param(event({}, (*binary(CLOUD), ("Content-Type", b"application/json"))), id="binary with data"),
]


@pytest.mark.parametrize("form", FORMS)
def test_all_forms_say_the_same(form: Event) -> None:
    request = decode(form, 10_000)
    assert isinstance(request, EraseUser)
    assert (request.id, request.subject, request.time) == ("r-1", "u-7", datetime(2026, 11, 21, 9, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    "form",
    [
        event({**without(BARE, "subject"), "type": "erase_interactions", "interactions": PAIRS}),
        event({**CLOUD, "type": "erase_interactions", "data": {"interactions": PAIRS}}),
        event({"interactions": PAIRS}, binary({**CLOUD, "type": "com.example.erase_interactions"})),
    ],
)
def test_interactions_come_from_the_payload_or_the_data(form: Event) -> None:
    request = decode(form, 10_000)
    assert isinstance(request, EraseInteractions)
    assert request.interactions == [("u-7", "i-1"), ("u-7", "i-2")]


OLDER = {**CLOUD, "type": "erase_before"}
LATE, BEFORE = "2026-12-21T09:30:00Z", "2025-01-01T00:00:00Z"


@pytest.mark.parametrize(
    "form",
    [
        event({**BARE, "type": "erase_before", "before": BEFORE, "deadline": LATE}),
        event({**OLDER, "data": {"before": BEFORE, "deadline": LATE}}),
        event({**OLDER, "deadline": LATE, "data": {"before": BEFORE, "deadline": "2027-01-01T00:00:00Z"}}),
        event({"before": BEFORE}, binary({**OLDER, "deadline": LATE})),
    ],
)
def test_what_else_a_request_has_comes_from_the_data_and_a_deadline_from_an_attribute_too(form: Event) -> None:
    request = decode(form, 10_000)
    assert isinstance(request, EraseBefore)
    assert (request.before, request.deadline) == (
        datetime(2025, 1, 1, tzinfo=UTC),
        datetime(2026, 12, 21, 9, 30, tzinfo=UTC),
    )


def test_a_label_comes_from_the_data() -> None:
    request = decode(event({**CLOUD, "type": "x.rectify", "data": {"interactions": PAIRS, "label": 0}}), 10_000)
    assert isinstance(request, Rectify)
    assert request.label == 0


def test_the_last_part_of_a_type_is_what_counts() -> None:
    assert isinstance(decode(event({**CLOUD, "type": "a.b.erase_item"}), 10_000), EraseItem)
    assert isinstance(decode(event({**CLOUD, "type": "erase_item"}), 10_000), EraseItem)


def test_a_bare_request_may_mention_cloud_events_further_down() -> None:
    request = decode(event({**BARE, "note": {"specversion": "1.0"}}), 10_000)
    assert isinstance(request, EraseUser)


def test_what_the_source_found_wrong_is_refused_whatever_the_payload_is() -> None:
    found = RequestError("headers", "are not UTF-8")
    assert refused(replace(event(BARE), problem=found)) is found


def test_a_null_payload_is_refused() -> None:
    assert str(refused(event(None, key=b"u-7"))) == "payload: is null"


def test_a_payload_over_the_limit_is_refused_whatever_it_holds() -> None:
    error = refused(event(b" " * 11), max_bytes=10)
    assert str(error) == "payload: has 11 bytes, at most 10 are allowed"
    assert isinstance(decode(event(BARE), max_bytes=len(json.dumps(BARE))), EraseUser)


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        (b"", "payload"),
        (b"{", "payload"),
        (b"\xff\xfe", "payload"),
        (b"null", "payload"),
        (b"[]", "payload"),
        (b"[" * 9000, "payload"),
        (b'{"specversion"', "payload"),
        (b'["specversion"]', "payload"),
        (without(BARE, "id"), "id"),
        ({**BARE, "id": 7}, "id"),
        ({**BARE, "id": ""}, "id"),
        (without(BARE, "type"), "type"),
        ({**BARE, "type": "erase_all"}, "type"),
        (without(BARE, "subject"), "subject"),
        ({**BARE, "subject": 7}, "subject"),
        (without(BARE, "time"), "time"),
        ({**BARE, "time": "yesterday"}, "time"),
        ({**BARE, "time": "2026-11-21T09:30:00"}, "time"),
        ({**BARE, "type": "erase_interactions"}, "interactions"),
        ({**BARE, "type": "erase_interactions", "interactions": []}, "interactions"),
    ],
)
def test_a_malformed_bare_request_names_the_field(payload: Any, field: str) -> None:
    error = refused(event(payload))
    assert error.field == field
    assert str(error).startswith(f"{field}: ")


MALFORMED_ATTRIBUTES = [
    (without(CLOUD, "specversion"), "specversion"),
    ({**CLOUD, "specversion": "0.3"}, "specversion"),
    (without(CLOUD, "id"), "id"),
    ({**CLOUD, "id": ""}, "id"),
    (without(CLOUD, "source"), "source"),
    ({**CLOUD, "source": ""}, "source"),
    (without(CLOUD, "type"), "type"),
    ({**CLOUD, "type": "com.example.erase_all"}, "type"),
    (without(CLOUD, "subject"), "subject"),
    (without(CLOUD, "time"), "time"),
    ({**CLOUD, "time": "2026-11-21T09:30:00"}, "time"),
    ({**CLOUD, "type": "erase_interactions"}, "interactions"),
]


@pytest.mark.parametrize(("attributes", "field"), MALFORMED_ATTRIBUTES)
def test_a_malformed_structured_event_names_the_field(attributes: dict[str, Any], field: str) -> None:
    assert refused(event(attributes, (("content-type", b"application/cloudevents+json"),))).field == field


@pytest.mark.parametrize(("attributes", "field"), MALFORMED_ATTRIBUTES)
def test_a_malformed_binary_event_names_the_field(attributes: dict[str, Any], field: str) -> None:
    assert refused(event(None, binary(attributes))).field == field


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({**CLOUD, "specversion": 1.0}, "specversion"),
        ({**CLOUD, "id": 7}, "id"),
        ({**CLOUD, "id": None}, "id"),
        ({**CLOUD, "source": 7}, "source"),
        ({**CLOUD, "type": 7}, "type"),
        ({**CLOUD, "subject": 7}, "subject"),
        ({**CLOUD, "data": "text"}, "data"),
        ({**CLOUD, "data_base64": "e30="}, "data_base64"),
        ({**CLOUD, "type": "erase_interactions", "data": {"interactions": [["u", 7]]}}, "interactions.0.1"),
    ],
)
def test_a_structured_event_of_the_wrong_types_names_the_field(document: dict[str, Any], field: str) -> None:
    assert refused(event(document)).field == field


@pytest.mark.parametrize("content_type", [b"application/cloudevents-batch+json", b"application/cloudevents+avro"])
def test_other_forms_of_cloud_events_are_refused_by_name(content_type: bytes) -> None:
    error = refused(event(CLOUD, (("content-type", content_type),)))
    assert error.field == "content-type"
    assert "application/cloudevents+json" in str(error)


def test_a_structured_event_without_a_payload_is_refused() -> None:
    assert refused(event(None, (("content-type", b"application/cloudevents+json"),))).field == "payload"


@pytest.mark.parametrize("payload", [b"not json", b"[]"])
def test_a_binary_event_whose_data_is_no_object_is_refused(payload: bytes) -> None:
    assert refused(event(payload, binary(CLOUD))).field == "payload"


def test_a_header_that_is_not_text_names_its_attribute() -> None:
    headers = (*binary(without(CLOUD, "subject")), ("ce_subject", b"\xff"))
    assert str(refused(event(None, headers))) == "subject: is not UTF-8"


SECRET = "someone@example.org"


@pytest.mark.parametrize("value", [[SECRET], {SECRET: 1}, SECRET * 100])
@pytest.mark.parametrize("fields", [BARE, CLOUD])
@pytest.mark.parametrize("name", ["id", "subject", "time", "type"])
def test_a_reason_never_repeats_a_value(fields: dict[str, Any], name: str, value: Any) -> None:
    error = refused(event({**fields, name: value}))
    assert error.field == name
    assert "someone" not in str(error)


def test_an_approval_names_its_request_bare_and_as_a_cloud_event() -> None:
    named = {"id": "r-1", "source": "/crm"}
    bare = {"id": "a-1", "type": "approve", "request": named, "time": TIME}
    cloud = {**without(bare, "request"), "specversion": "1.0", "source": "/ops", "data": {"request": named}}
    for payload in (bare, cloud):
        found = decode(event(payload), 10_000)
        assert isinstance(found, Approve)
        assert found.named == ("/crm", "r-1")
    assert refused(event({**bare, "request": {"source": "/crm"}})).field == "request.id"
