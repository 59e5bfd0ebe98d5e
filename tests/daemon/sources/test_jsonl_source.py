"""What a JSONL file adds to the promises of a source."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ifrud.streams.sources import LostEventsError, LostRange, SourceError, open_source
from ifrud.streams.sources.jsonl import MAX_LINE_BYTES, POLL_BYTES, JsonlSource


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def following(path: Path, wait: Callable[[float], None] = lambda _: None) -> JsonlSource:
    return JsonlSource(path, clock=lambda: 0.0, wait=wait, interval=0.5)


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
        following(path).seek({0: 12})


def test_another_file_in_its_place_is_an_error_even_if_it_is_longer(path: Path, tmp_path: Path) -> None:
    path.write_bytes(b"{}\n")
    source = following(path)
    source.poll(1, 0)
    (tmp_path / "other").write_bytes(b"{}\n{}\n{}\n")
    (tmp_path / "other").replace(path)
    with pytest.raises(SourceError, match="another file has taken its place"):
        source.poll(1, 0)


def test_a_position_in_the_middle_of_a_line_is_an_error(path: Path) -> None:
    path.write_bytes(b"[1, 2, 3]\n")
    with pytest.raises(SourceError, match="no line starts there"):
        following(path).seek({0: 4})


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
