"""Requests on their way into a stream."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ifru.requests import EraseUser
from ifrud.requests.envelope import decode
from ifrud.requests.submit import SubmitError, submit
from ifrud.streams.endpoints import EndpointError
from tests.fixtures.kafka import Kafka
from tests.fixtures.streams import Opener, Stream, read

LIMIT = 262_144


def request(number: int) -> bytes:
    document = {"id": str(number), "type": "erase_user", "subject": f"u-{number % 3}", "time": "2026-11-21T09:30:00Z"}
    return json.dumps(document).encode()


def test_what_is_submitted_is_what_the_daemon_reads(stream: Stream, open_: Opener) -> None:
    assert submit([request(n) for n in range(5)], stream.url, max_bytes=LIMIT) == 5
    requests = [decode(event, LIMIT) for event in read(open_(stream.url), 5)]
    assert [(r.id, r.subject) for r in requests if isinstance(r, EraseUser)] == [
        ("0", "u-0"),
        ("1", "u-1"),
        ("2", "u-2"),
        ("3", "u-0"),
        ("4", "u-1"),
    ]


def test_a_document_of_several_lines_becomes_one_event(stream: Stream, open_: Opener) -> None:
    document = json.loads(request(1))
    assert submit([json.dumps(document, indent=2).replace("\n", "\r\n").encode()], stream.url, max_bytes=LIMIT) == 1
    (event,) = read(open_(stream.url), 1)
    assert json.loads(event.payload or b"") == document


def test_nothing_is_sent_where_one_request_is_wrong(stream: Stream, open_: Opener) -> None:
    with pytest.raises(SubmitError, match="event 2: type: is missing"):
        submit([request(1), b"{}", request(3)], stream.url, max_bytes=LIMIT)
    assert open_(stream.url).end() == {0: 0}


def test_a_request_that_the_daemon_would_find_too_large_is_refused(stream: Stream) -> None:
    with pytest.raises(SubmitError, match="at most 20 are allowed"):
        submit([request(1)], stream.url, max_bytes=20)


def test_a_url_of_another_kind_is_refused() -> None:
    with pytest.raises(EndpointError, match="events"):
        submit([request(1)], "events", max_bytes=LIMIT)


def test_requests_of_one_subject_keep_their_order_in_a_topic_of_many_partitions(kafka: Kafka, open_: Opener) -> None:
    url = kafka.url(kafka.topic(partitions=4))
    submit([request(n) for n in range(30)], url, max_bytes=LIMIT)
    order: dict[str, list[int]] = {}
    for event in read(open_(url), 30):
        document = json.loads(event.payload or b"")
        order.setdefault(document["subject"], []).append(int(document["id"]))
    assert order == {f"u-{n}": list(range(n, 30, 3)) for n in range(3)}


def test_requests_are_appended_to_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(request(1))
    submit([request(2)], path.as_uri(), max_bytes=LIMIT)
    assert path.read_bytes() == request(1) + b"\n" + request(2) + b"\n"
