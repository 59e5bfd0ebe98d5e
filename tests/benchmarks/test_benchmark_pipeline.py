"""The whole way of a request: what is sent, and what is measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.base import Base
from benchmarks.pipeline.__main__ import publish
from benchmarks.pipeline.course import Asked, Course, observe
from benchmarks.pipeline.load import Shape, name, requests, schedule, written
from benchmarks.pipeline.report import draw, latencies, markdown
from benchmarks.runner import Run
from ifru.errors import IfruError
from tests.fixtures.kafka import Kafka


def test_a_file_of_events_is_answered_and_its_way_is_measured(base: Base, tmp_path: Path, kafka: Kafka) -> None:
    lines = [*requests(base.dataset, Shape.INTERACTIONS, 5, 0), *requests(base.dataset, Shape.USERS, 1, 0)]
    lines[-1] = lines[-1].replace(b"sent-0", b"a user")
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"\n".join([*lines, lines[0], b"{}"]) + b"\n")
    publish(base, tmp_path / "store")
    folder = tmp_path / "pipeline-of-a-file"
    folder.mkdir()
    events = written(file)
    asked = Asked(events, schedule(len(events), 50.0, Shape.INTERACTIONS))
    course = observe(tmp_path / "store", folder, kafka.bootstrap, asked, Run().report)
    # One that is sent again gets its receipt again, unless both were in one batch.
    published = course.states["published"]
    assert published in (6, 7)
    assert course.states == {"published": published, "dead letter": 1}
    assert sorted(course.answered) == list(range(7))
    assert all(course.latencies[place] > 0 for place in range(6))
    assert 1 <= course.batches <= course.versions
    assert course.batches <= course.stages["receipts"][0]
    assert min(course.files, course.stored, course.cpu, course.peak) > 0
    text = markdown(course, paced=True)
    assert f"{published} published, 1 dead letter" in text
    assert "| commit | " in text
    pytest.importorskip("matplotlib")
    draw(course, "title", paced=True).savefig(tmp_path / "plot.png")


def test_a_latency_is_from_sending_to_the_receipt_whatever_the_order_of_receipts() -> None:
    course = Course(sent=[0.0, 1.0, 2.0], answered={2: 2.5, 0: 3.0}, states={"published": 2}, seconds=3.0)
    assert course.latencies == [3.0, 0.5]
    assert latencies(course)["max"] == 3.0
    assert "latency" not in markdown(course, paced=False)


def test_bursts_send_the_events_of_five_seconds_at_once() -> None:
    assert schedule(4, 0.5, Shape.BURSTS) == [0, 0, 0, 5]
    assert schedule(4, 0.5, Shape.USERS) == [0, 2, 4, 6]


def test_no_two_events_ask_for_the_same(base: Base) -> None:
    for shape in Shape:
        events = [json.loads(event) for event in requests(base.dataset, shape, 50, 1)]
        assert len({event["id"] for event in events}) == 50
        assert len({str(event.get("subject") or event["interactions"]) for event in events}) == 50
    with pytest.raises(IfruError, match="201 are to be deleted, and there are 200"):
        requests(base.dataset, Shape.USERS, 201, 1)


def test_what_is_no_event_has_no_name() -> None:
    assert [name(line) for line in (b'{"id": "a"}', b'{"id": 1}', b"[]", b"{")] == ["a", None, None, None]


def test_a_file_without_events_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IfruError, match="cannot be read"):
        written(tmp_path / "nonesuch.jsonl")
    (tmp_path / "empty.jsonl").write_bytes(b"\n")
    with pytest.raises(IfruError, match="holds no events"):
        written(tmp_path / "empty.jsonl")
