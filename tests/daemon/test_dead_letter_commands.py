"""`ifrud dead-letters`: what is shown of events that were not carried out, and how they are sent again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer, TopicPartition
from typer.testing import CliRunner, Result

from ifru.errors import RequestError
from ifrud.cli import app
from ifrud.requests.dead_letters import DeadLetter, Letters
from ifrud.requests.replay import original
from ifrud.streams.contents import contents
from ifrud.streams.outboxes import Record, open_outbox
from ifrud.streams.sources import Event
from tests.daemon.world import World, erase_user, request
from tests.fixtures.kafka import Kafka
from tests.fixtures.streams import Opener, Stream, read

TIME = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
MISSING = RequestError("subject", "is missing")
USED = RequestError("id", "was used before")
PAIR = RequestError("interactions.0.1", "is no text")


def letter(offset: int, payload: bytes | None, error: RequestError = MISSING, **changes: Any) -> DeadLetter:
    event = Event(payload, changes.get("key"), changes.get("headers", ()), 0, offset, offset + 1, 0.0)
    return Letters("requests", lambda: TIME, changes.get("mode", "full")).of(event, error)


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["dead-letters", *arguments], env={"COLUMNS": "200"})


@pytest.fixture
def urls(tmp_path: Path) -> tuple[str, str]:
    """Of dead letters and of events."""
    return (tmp_path / "dead_letters.jsonl").as_uri(), (tmp_path / "events.jsonl").as_uri()


def write(url: str, letters: Sequence[DeadLetter]) -> None:
    open_outbox(url).send([each.record() for each in letters])


def sent(tmp_path: Path) -> list[bytes]:
    path = tmp_path / "events.jsonl"
    return path.read_bytes().splitlines() if path.exists() else []


def test_a_list_says_where_what_and_why_and_not_what_the_event_held(urls: tuple[str, str]) -> None:
    write(urls[0], [letter(0, b'{"who": "Ada"}'), letter(15, b"Grace", USED), letter(15, b"Grace", USED)])
    open_outbox(urls[0]).send([Record("k", b'{"no": "letter"}')])
    result = invoke("list", "--dead-letters", urls[0])
    assert result.exit_code == 0
    assert "requests/0/0   2026-11-21 09:30:00  subject: is missing  14" in result.output
    assert "requests/0/15  2026-11-21 09:30:00  id: was used before  5" in result.output
    assert result.output.splitlines()[-2:] == [
        "2 dead letters, by field: subject: 1, id: 1",
        "1 record in the stream, no dead letters",
    ]
    assert "Ada" not in result.output
    assert "Grace" in invoke("list", "--dead-letters", urls[0], "--payload").output


@pytest.mark.parametrize(
    ("chosen", "offsets"),
    [
        ([], [0, 1, 2]),
        (["--field", "subject"], [0]),
        (["--field", "subject", "--field", "interactions"], [0, 2]),
        (["--position", "requests/0/1"], [1]),
        (["--position", "requests/0/1", "--field", "subject"], []),
    ],
)
def test_letters_are_chosen_by_field_and_position(urls: tuple[str, str], chosen: list[str], offsets: list[int]) -> None:
    write(urls[0], [letter(0, b"a"), letter(1, b"b", USED), letter(2, b"c", PAIR)])
    result = invoke("list", "--dead-letters", urls[0], "--json", *chosen)
    document = json.loads(result.output)
    assert [each["position"]["offset"] for each in document["letters"]] == offsets
    assert all(each["payload"] is None for each in document["letters"])


def test_events_that_were_kept_whole_are_sent_again_and_others_are_listed(
    urls: tuple[str, str], tmp_path: Path
) -> None:
    write(urls[0], [letter(0, b'{"a": 1}'), letter(1, b"b", mode="digest"), letter(2, b"c" * 300_000), letter(3, b"d")])
    result = invoke("replay", "--dead-letters", urls[0], "--events", urls[1], "--field", "subject")
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        "requests/0/1 was not kept whole; its sender must send it again",
        "requests/0/2 was not kept whole; its sender must send it again",
        "2 events sent",
    ]
    assert sent(tmp_path) == [b'{"a": 1}', b"d"]


def test_nothing_is_sent_where_nothing_is_chosen_or_a_setting_is_missing(urls: tuple[str, str], tmp_path: Path) -> None:
    write(urls[0], [letter(0, b"a")])
    for arguments, said in (
        (["--dead-letters", urls[0], "--events", urls[1]], "nothing is chosen"),
        (["--dead-letters", urls[0], "--all"], "events: is not set"),
        (["--events", urls[1], "--all"], "dead_letters: is not set"),
        (["--events", urls[1], "--file", str(tmp_path / "none.json")], "cannot be read"),
        (["--events", urls[1], "--file", __file__], "is not what list --json --payload prints"),
    ):
        result = invoke("replay", *arguments)
        assert (result.exit_code, sent(tmp_path)) == (2, [])
        assert said in result.stderr


def test_a_stream_that_cannot_be_read_is_told_from_a_wrong_setting(tmp_path: Path) -> None:
    assert invoke("list", "--dead-letters", (tmp_path / "none" / "letters.jsonl").as_uri()).exit_code == 5
    assert invoke("list", "--dead-letters", "letters.jsonl").exit_code == 2


def test_events_that_an_operator_has_mended_are_answered(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.submit(request("r1", type="erase_user"), erase_user("r2", 3))
    world.drain()
    settings = world.settings()
    listing = tmp_path / "mended.json"
    shown = invoke("list", "--dead-letters", settings.dead_letters, "--json", "--payload").output
    document = json.loads(shown)
    (found,) = document["letters"]
    found["payload"] = json.dumps({**json.loads(found["payload"]), "subject": "user 4"})
    listing.write_text(json.dumps(document))
    result = invoke("replay", "--file", str(listing), "--events", settings.events, "--json")
    assert (result.exit_code, json.loads(result.output)) == (0, {"sent": ["events.jsonl/0/0"], "not_kept_whole": []})
    world.drain()
    assert {receipt["request_id"]: receipt["state"] for receipt in world.receipts()} == {
        "r1": "published",
        "r2": "published",
    }
    assert "user 4" not in world.newest().dataset.users


def test_what_a_file_cannot_hold_is_said_and_nothing_is_written(urls: tuple[str, str], tmp_path: Path) -> None:
    write(urls[0], [letter(0, b"a"), letter(1, None, headers=(("ce_id", b"1"),))])
    result = invoke("replay", "--dead-letters", urls[0], "--events", urls[1], "--all")
    assert (result.exit_code, sent(tmp_path)) == (2, [])
    assert "need a Kafka topic" in result.stderr


@pytest.mark.parametrize("payload", [b'{"subject": 1}', b"\xff\x00", b"", None])
@pytest.mark.parametrize("key", [b"user", b"\xfe", None])
def test_the_original_of_a_letter_is_the_event_byte_for_byte(payload: bytes | None, key: bytes | None) -> None:
    headers = (("ce_id", b"1"), ("raw", b"\xff"), ("empty", b""))
    assert original(letter(0, payload, key=key, headers=headers)) == Record(key, payload, headers)


def test_events_of_a_topic_are_sent_again_with_keys_and_headers(kafka: Kafka, open_: Opener) -> None:
    topics = kafka.topic(), kafka.topic()
    urls = [kafka.url(topic) for topic in topics]
    headers = (("ce_id", b"1"), ("raw", b"\xff"))
    write(urls[0], [letter(0, None, key=b"\xfe", headers=headers), letter(1, b"b\n", USED)])
    result = invoke("replay", "--dead-letters", urls[0], "--events", urls[1], "--all")
    assert (result.exit_code, result.output) == (0, "2 events sent\n")
    events = read(open_(urls[1]), 2)
    assert {(event.payload, event.key, event.headers) for event in events} == {
        (None, b"\xfe", headers),
        (b"b\n", None, ()),
    }


def test_the_contents_of_a_stream_end_where_it_ends_now(stream: Stream) -> None:
    assert list(contents(stream.url)) == []
    stream.append(*(b"%d" % number for number in range(2500)))
    assert [event.payload for event in contents(stream.url)] == [b"%d" % number for number in range(2500)]


def test_letters_that_retention_has_removed_are_not_missed(kafka: Kafka) -> None:
    topic = kafka.topic(partitions=3)
    with KafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all") as producer:
        for number in range(5):
            producer.send(topic, b"%d" % number, partition=0)
            producer.send(topic, b"gone", partition=1)
        producer.flush()
    kafka.admin.delete_records({TopicPartition(topic, 0): 3, TopicPartition(topic, 1): 5})
    assert [event.payload for event in contents(kafka.url(topic))] == [b"3", b"4"]


def test_an_event_that_could_not_all_be_read_is_not_sent_again() -> None:
    event = Event(b"{}", None, (), 0, 0, 1, 0.0, RequestError("headers", "are no UTF-8"))
    assert original(Letters("requests", lambda: TIME).of(event, RequestError("headers", "are no UTF-8"))) is None
