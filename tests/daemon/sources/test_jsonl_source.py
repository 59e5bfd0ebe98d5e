"""What a JSONL file adds to the promises of a source."""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest

from ifru.snapshots import Position
from ifru.snapshots import Source as Recorded
from ifrud.streams.sources import LostEventsError, LostRange, SourceError, open_source
from ifrud.streams.sources.jsonl import BEFORE_BYTES, MAX_LINE_BYTES, POLL_BYTES, JsonlSource
from tests.fixtures.streams import unidentified


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def following(
    path: Path, wait: Callable[[float], None] = lambda _: None, accept_lost: str | None = None
) -> JsonlSource:
    return JsonlSource(path, clock=lambda: 0.0, wait=wait, interval=0.5, accept_lost=accept_lost)


def payloads(source: JsonlSource, limit: int = 1000) -> list[bytes | None]:
    return [event.payload for event in source.poll(limit, 0)]


def test_a_line_is_an_event_once_its_newline_is_there(path: Path) -> None:
    source = following(path)
    path.write_bytes(b'{"id": "1"}\n{"id": ')
    assert payloads(source) == [b'{"id": "1"}']
    assert source.end() == {0: 12}
    with path.open("ab") as file:
        file.write(b'"2"}')
    assert payloads(source) == []
    with path.open("ab") as file:
        file.write(b"\n")
    assert payloads(source) == [b'{"id": "2"}']


def test_the_end_is_found_behind_a_long_torn_line(path: Path) -> None:
    path.write_bytes(b"{}\n" + b"x" * 200_000)
    assert following(path).end() == {0: 3}


def test_offsets_are_bytes_and_the_name_is_the_file(path: Path) -> None:
    path.write_bytes("é\n\nabc\n".encode())
    source = following(path)
    assert source.name == "events.jsonl"
    assert [(e.offset, e.next, e.payload) for e in source.poll(9, 0)] == [
        (0, 3, "é".encode()),
        (3, 4, b""),
        (4, 8, b"abc"),
    ]


def test_a_file_that_does_not_exist_yet_is_waited_for(path: Path) -> None:
    def somebody_writes(_: float) -> None:
        path.write_bytes(b"{}\n")

    source = following(path, wait=somebody_writes)
    assert source.end() == {0: 0}
    assert [event.payload for event in source.poll(10, 10.0)] == [b"{}"]


def test_a_poll_waits_for_its_timeout_and_no_longer(path: Path) -> None:
    pauses: list[float] = []
    assert following(path, wait=pauses.append).poll(10, 1.2) == []
    assert pauses == pytest.approx([0.5, 0.5, 0.2])


def test_a_poll_that_finds_events_does_not_wait(path: Path) -> None:
    pauses: list[float] = []
    path.write_bytes(b"{}\n")
    assert len(following(path, wait=pauses.append).poll(10, 1.2)) == 1
    assert pauses == []


def test_a_folder_that_does_not_exist_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="missing"):
        following(tmp_path / "missing" / "events.jsonl")


def test_a_path_that_is_no_file_is_an_error(path: Path) -> None:
    path.mkdir()
    with pytest.raises(SourceError, match="cannot be read"):
        following(path).poll(1, 0)


def test_a_file_that_was_cut_names_the_bytes_that_are_gone(path: Path) -> None:
    path.write_bytes(b"{}\n" * 4)
    source = following(path)
    source.poll(4, 0)
    os.truncate(path, 6)
    with pytest.raises(LostEventsError, match="bytes 6 to 11 are gone") as caught:
        source.poll(4, 0)
    assert caught.value.ranges == (LostRange(0, 6, 11),)


def test_a_file_that_vanished_is_an_error(path: Path) -> None:
    path.write_bytes(b"{}\n")
    source = following(path)
    source.poll(1, 0)
    path.unlink()
    with pytest.raises(LostEventsError, match="bytes 0 to 2 are gone"):
        source.poll(1, 0)


def test_a_file_that_was_cut_while_nobody_looked_is_an_error_at_seek(path: Path) -> None:
    path.write_bytes(b"{}\n")
    with pytest.raises(LostEventsError, match="bytes 3 to 11 are gone"):
        following(path).seek(unidentified({0: 12}))


@pytest.fixture(params=["truncated", "replaced", "another folder"])
def other(request: pytest.FixtureRequest, path: Path) -> Callable[[bytes], Path]:
    """Puts other content where the events file is looked for, and says where that is."""

    def put(content: bytes) -> Path:
        folder = path.parent / "other"
        folder.mkdir()
        (folder / path.name).write_bytes(content)
        if request.param == "truncated":
            os.truncate(path, 0)
            with path.open("ab") as file:
                file.write(content)
        elif request.param == "replaced":
            (folder / path.name).replace(path)
        else:
            return folder / path.name
        return path

    return put


OLD, NEW = b"old 1\nold 2\nold 3\n", b"new 1\nnew 2\nnew 3\nnew 4\n"


def test_another_file_is_found_at_start_however_long_it_is(path: Path, other: Callable[[bytes], Path]) -> None:
    path.write_bytes(OLD)
    source = following(path)
    recorded = source.recorded({0: source.poll(2, 0)[-1].next})
    with pytest.raises(LostEventsError, match="read up to byte 12: it holds something else before that byte"):
        following(other(NEW)).seek(recorded)


def test_another_file_is_found_while_it_is_read(path: Path) -> None:
    path.write_bytes(OLD)
    source = following(path)
    source.poll(2, 0)
    os.truncate(path, 0)
    path.write_bytes(NEW)
    with pytest.raises(LostEventsError, match="byte 12: it holds something else"):
        source.poll(2, 0)
    with pytest.raises(LostEventsError, match="byte 12: it holds something else"):
        source.end()


def test_the_same_content_on_another_volume_is_the_same_stream(path: Path, tmp_path: Path) -> None:
    path.write_bytes(OLD)
    source = following(path)
    recorded = source.recorded({0: source.poll(2, 0)[-1].next})
    (tmp_path / "restored").mkdir()
    copy = tmp_path / "restored" / path.name
    copy.write_bytes(OLD)
    again = following(copy)
    assert again.seek(recorded) == {0: 12}
    assert payloads(again) == [b"old 3"]


def test_an_accepted_loss_starts_the_other_file_from_its_beginning(path: Path, other: Callable[[bytes], Path]) -> None:
    path.write_bytes(OLD)
    source = following(path)
    recorded = source.recorded({0: source.poll(2, 0)[-1].next})
    present = other(NEW)
    with pytest.raises(LostEventsError) as caught:
        following(present).seek(recorded)
    assert f"--accept-lost {caught.value.word}" in str(caught.value)
    with present.open("ab") as file:
        file.write(b"new 5\n")
    again = following(present, accept_lost=caught.value.word)
    assert again.seek(recorded) == {0: 0}
    assert payloads(again) == [b"new 1", b"new 2", b"new 3", b"new 4", b"new 5"]


def test_a_word_accepts_no_other_loss(path: Path) -> None:
    path.write_bytes(OLD)
    source = following(path)
    recorded = source.recorded({0: source.poll(2, 0)[-1].next})
    path.write_bytes(NEW)
    with pytest.raises(LostEventsError) as caught:
        following(path).seek(recorded)
    word = caught.value.word
    path.write_bytes(b"newer\n" * 9)
    with pytest.raises(LostEventsError):
        following(path, accept_lost=word).seek(recorded)
    path.write_bytes(NEW)
    accepting = following(path, accept_lost=word)
    accepting.seek(recorded)
    later = accepting.recorded({0: accepting.poll(2, 0)[-1].next})
    path.write_bytes(OLD)
    with pytest.raises(LostEventsError):
        following(path, accept_lost=word).seek(later)


def test_a_position_holds_what_was_read_not_what_stands_there_later(path: Path) -> None:
    path.write_bytes(b"x" * 5000 + b"\n")
    source = following(path)
    (event,) = source.poll(1, 0)
    path.write_bytes(b"y" * 6000 + b"\n")
    recorded = source.recorded({0: event.next})
    assert recorded.partitions[0].before_sha256 == sha256(b"x" * 4095 + b"\n").hexdigest()


def test_every_position_that_was_not_passed_holds_what_the_file_has_before_it(path: Path) -> None:
    random = Random(0)
    path.write_bytes(b"".join(random.randbytes(random.randrange(3000)).hex().encode() + b"\n" for _ in range(40)))
    written, source = path.read_bytes(), following(path)
    after = 0
    while events := source.poll(random.randrange(1, 6), 0):
        for event in random.sample(events, random.randrange(len(events) + 1)):
            if event.next >= after:
                after = event.next
                if random.random() < 0.3:
                    source.acknowledge({0: after})
                before = written[max(0, after - BEFORE_BYTES) : after]
                assert source.recorded({0: after}).partitions[0].before_sha256 == sha256(before).hexdigest()


def test_a_position_without_identity_is_checked_for_a_line_that_ends_there(path: Path) -> None:
    path.write_bytes(b"[1, 2, 3]\n")
    assert following(path).seek(unidentified({0: 10})) == {0: 10}
    with pytest.raises(LostEventsError, match="byte 4: it holds something else"):
        following(path).seek(unidentified({0: 4}))


def test_a_position_in_a_topic_of_that_name_is_no_position_in_the_file(path: Path) -> None:
    path.write_bytes(OLD)
    recorded = Recorded(kind="kafka", topic_id="x", partitions={0: Position(next=6)})
    with pytest.raises(LostEventsError, match="what was read before is a Kafka topic"):
        following(path).seek(recorded)


def test_a_file_was_heard_when_it_was_last_looked_at(path: Path) -> None:
    times = iter([5.0, 6.0, 7.0, 8.0, 9.0])
    source = JsonlSource(path, clock=lambda: next(times), wait=lambda _: None)
    assert source.heard() is None
    source.poll(1, 0)
    first = source.heard()
    source.poll(1, 0)
    second = source.heard()
    assert first is not None
    assert second is not None
    assert 5.0 <= first < second


def test_a_line_without_end_stops_the_source_after_the_events_before_it(path: Path) -> None:
    path.write_bytes(b"{}\n" + b"x" * (MAX_LINE_BYTES + 1))
    source = following(path)
    assert payloads(source) == [b"{}"]
    with pytest.raises(SourceError, match=f"the line at byte 3 has more than {MAX_LINE_BYTES} bytes"):
        source.poll(1, 0)


def test_a_poll_holds_a_bounded_number_of_bytes(path: Path) -> None:
    line = b"x" * 1_000_000 + b"\n"
    path.write_bytes(line * 12)
    source = following(path)
    counts = [len(source.poll(1000, 0)) for _ in range(3)]
    assert counts == [9, 3, 0]
    assert 8 * len(line) < POLL_BYTES <= 9 * len(line)


def test_a_file_url_may_hold_encoded_characters(tmp_path: Path) -> None:
    path = tmp_path / "the events é 100%.jsonl"
    path.write_bytes(b"{}\n")
    source = open_source(path.as_uri())
    assert source.name == path.name
    assert len(source.poll(1, 0)) == 1
