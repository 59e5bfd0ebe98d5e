"""What is kept of an event that could not be understood."""

from __future__ import annotations

import ast
import json
from base64 import b64decode
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

import ifru
import ifrud
from ifru.errors import RequestError
from ifrud.observe.metrics import Metrics
from ifrud.requests.dead_letters import ATTRIBUTE_BYTES, FIELDS, PAYLOAD_BYTES, Letters, dead_letter
from ifrud.streams.sources import Event

TIME = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
ERROR = RequestError("subject", "is missing")
KAFKA_RECORD_BYTES = 1_000_000


def letter(payload: bytes | None, key: bytes | None = None, headers: tuple[tuple[str, bytes], ...] = ()) -> Any:
    event = Event(payload, key, headers, partition=2, offset=40, next=41, received=0.0)
    return json.loads(dead_letter(event, ERROR, "events", TIME).record().value)


def test_a_letter_says_what_was_wrong_where_and_when() -> None:
    document = letter(b"{}")
    assert document["reason"] == "subject: is missing"
    assert document["field"] == "subject"
    assert document["position"] == {"source": "events", "partition": 2, "offset": 40}
    assert document["time"] == "2026-11-21T09:30:00Z"


def test_text_is_kept_as_text() -> None:
    document = letter('{"subject": "é"}'.encode())
    assert (document["payload"], document["payload_base64"]) == ('{"subject": "é"}', None)
    assert (document["payload_truncated"], document["payload_size"]) == (False, 17)


def test_bytes_that_are_no_text_are_kept_as_base64() -> None:
    document = letter(b"\xff\x00")
    assert document["payload"] is None
    assert b64decode(document["payload_base64"]) == b"\xff\x00"


def test_a_null_payload_stays_null_and_an_empty_one_empty() -> None:
    null, empty = letter(None), letter(b"")
    assert (null["payload"], null["payload_base64"], null["payload_size"]) == (None, None, None)
    assert (empty["payload"], empty["payload_base64"], empty["payload_size"]) == ("", None, 0)


def test_key_and_headers_are_kept() -> None:
    document = letter(None, key=b"user", headers=(("ce_id", b"1"), ("raw", b"\xff")))
    assert (document["key"], document["key_base64"]) == ("user", None)
    assert document["headers"] == [
        {"name": "ce_id", "value": "1", "value_base64": None},
        {"name": "raw", "value": None, "value_base64": "/w=="},
    ]
    assert document["attributes_left_out"] is False


def test_headers_that_are_too_large_are_left_out_and_that_is_said() -> None:
    document = letter(b"{}", key=b"user", headers=(("big", b"x" * ATTRIBUTE_BYTES),))
    assert (document["key"], document["headers"], document["attributes_left_out"]) == (None, [], True)
    assert document["payload"] == "{}"


def test_a_payload_at_the_limit_is_kept_whole() -> None:
    document = letter(b"x" * PAYLOAD_BYTES)
    assert (len(document["payload"]), document["payload_truncated"]) == (PAYLOAD_BYTES, False)


@pytest.mark.parametrize("payload", [b"x" * (PAYLOAD_BYTES + 1), b"y" * 1_000_000])
def test_of_a_larger_payload_the_start_the_size_and_the_hash_are_kept(payload: bytes) -> None:
    document = letter(payload)
    assert document["payload"] == payload[:1024].decode()
    assert document["payload_truncated"] is True
    assert document["payload_size"] == len(payload)
    assert document["payload_sha256"] == sha256(payload).hexdigest()


def test_a_cut_never_splits_a_character() -> None:
    document = letter(b"x" + "é".encode() * 500_000)
    assert document["payload"] == "x" + "é" * 511


def test_the_start_of_large_bytes_is_kept_as_base64() -> None:
    document = letter(b"\xff" * 1_000_000)
    assert b64decode(document["payload_base64"]) == b"\xff" * 1024


@pytest.mark.parametrize(
    "payload", [b"\x00" * PAYLOAD_BYTES, b'"' * PAYLOAD_BYTES, b"\xff" * PAYLOAD_BYTES, b"\\\n" * (PAYLOAD_BYTES // 2)]
)
@pytest.mark.parametrize(
    "headers",
    [(("h", b"\x01" * 30_000),), (("\x01" * 10_000, b""),), tuple((f"{n}", b"") for n in range(1100)), ()],
)
def test_a_letter_always_fits_into_a_kafka_record(payload: bytes, headers: tuple[tuple[str, bytes], ...]) -> None:
    event = Event(payload, b"key", headers, 0, 0, 1, 0.0)
    assert len(dead_letter(event, ERROR, "events", TIME).record().value) < KAFKA_RECORD_BYTES


def test_a_letter_that_is_written_again_has_the_same_key() -> None:
    event = Event(b"{}", None, (), 2, 40, 41, 0.0)
    assert dead_letter(event, ERROR, "events", TIME).record().key == "events/2/40"


def test_a_digest_keeps_nothing_of_the_original_but_its_size_and_hash() -> None:
    event = Event(b'{"subject": "Ada"}', b"Ada", (("ce_subject", b"Ada"),), 2, 40, 41, 0.0)
    record = Letters("events", lambda: TIME, "digest").of(event, ERROR).record()
    assert b"Ada" not in record.value
    document = json.loads(record.value)
    assert (document["payload"], document["payload_base64"], document["payload_truncated"]) == (None, None, True)
    assert (document["payload_size"], document["payload_sha256"]) == (18, sha256(b'{"subject": "Ada"}').hexdigest())
    assert (document["key"], document["headers"], document["attributes_left_out"]) == (None, [], True)
    assert (document["field"], document["position"]["offset"]) == ("subject", 40)


def test_a_digest_of_nothing_lacks_nothing() -> None:
    letter = Letters("events", lambda: TIME, "digest").of(Event(None, None, (), 0, 0, 1, 0.0), ERROR)
    assert (letter.payload_truncated, letter.attributes_left_out) == (False, False)


def test_every_field_that_code_can_name_is_shown_as_a_counter_from_the_start() -> None:
    named = {
        call.args[0].value.partition(".")[0]
        for package in (ifru, ifrud)
        for file in Path(package.__path__[0]).rglob("*.py")
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "RequestError"
        if call.args and isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str)
    }
    assert len(named) > 10
    assert named <= set(FIELDS)
    registry = CollectorRegistry()
    Metrics(registry)
    assert {registry.get_sample_value("ifrud_dead_letters_total", {"field": field}) for field in FIELDS} == {0.0}
