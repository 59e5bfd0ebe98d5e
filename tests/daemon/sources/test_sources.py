"""What every source promises, whatever is behind its URL."""

from __future__ import annotations

import pytest

from ifrud.streams.sources import SourceError
from tests.fixtures.streams import NOW, Opener, Stream, read, unidentified

PAYLOADS = [b'{"id": "1"}', b"not json", b"\xff\xfe\x00", b'{"id": "4", "subject": "\xc3\xa9"}', b'{"id": "5"}']


def test_events_come_whole_and_in_order(stream: Stream, open_: Opener) -> None:
    stream.append(*PAYLOADS)
    events = read(open_(stream.url), 5)
    assert [event.payload for event in events] == PAYLOADS
    assert [event.partition for event in events] == [0] * 5
    assert [event.next for event in events[:-1]] == [event.offset for event in events[1:]]


def test_events_carry_the_time_of_receipt(stream: Stream, open_: Opener) -> None:
    stream.append(b"{}")
    assert [event.received for event in read(open_(stream.url), 1)] == [NOW]


@pytest.mark.parametrize("read_before", range(6))
def test_reading_resumes_exactly_where_it_was_left(stream: Stream, open_: Opener, read_before: int) -> None:
    stream.append(*PAYLOADS)
    first = open_(stream.url)
    positions = {0: 0} | {event.partition: event.next for event in read(first, read_before, limit=1)}
    second = open_(stream.url)
    assert second.seek(first.recorded(positions)) == positions
    assert [event.payload for event in read(second, 5 - read_before)] == PAYLOADS[read_before:]
    assert second.poll(10, 0) == []


def test_seeking_back_delivers_again(stream: Stream, open_: Opener) -> None:
    stream.append(*PAYLOADS)
    source = open_(stream.url)
    events = read(source, 5)
    source.seek(unidentified({0: events[2].offset}))
    assert [event.payload for event in read(source, 3)] == PAYLOADS[2:]


def test_seeking_nowhere_starts_at_the_beginning(stream: Stream, open_: Opener) -> None:
    stream.append(*PAYLOADS)
    source = open_(stream.url)
    read(source, 5)
    source.seek(unidentified({}))
    assert [event.payload for event in read(source, 5)] == PAYLOADS


def test_a_poll_brings_at_most_its_limit(stream: Stream, open_: Opener) -> None:
    stream.append(*PAYLOADS)
    source = open_(stream.url)
    polls = [source.poll(2, 5.0) for _ in range(3)]
    assert [len(events) for events in polls] == [2, 2, 1]
    assert [event.payload for events in polls for event in events] == PAYLOADS


def test_a_stream_is_followed_as_it_grows(stream: Stream, open_: Opener) -> None:
    source = open_(stream.url)
    assert source.poll(10, 0) == []
    for payload in PAYLOADS:
        stream.append(payload)
        assert [event.payload for event in read(source, 1)] == [payload]


def test_the_end_of_an_empty_stream_is_zero(stream: Stream, open_: Opener) -> None:
    assert open_(stream.url).end() == {0: 0}


def test_the_end_is_the_position_after_the_last_event(stream: Stream, open_: Opener) -> None:
    stream.append(*PAYLOADS)
    source = open_(stream.url)
    before = source.end()
    last = read(source, 5)[-1]
    assert before == source.end() == {0: last.next}
    stream.append(b"one more")
    assert source.end()[0] > last.next


def test_the_known_end_is_that_of_what_was_read(stream: Stream, open_: Opener) -> None:
    stream.append(*PAYLOADS)
    source = open_(stream.url)
    last = read(source, 5)[-1]
    assert source.known_end() == {0: last.next}


def test_an_event_of_a_megabyte_is_delivered_whole(stream: Stream, open_: Opener) -> None:
    large = b"x" * 1_000_000
    stream.append(b"before", large, b"after")
    assert [event.payload for event in read(open_(stream.url), 3)] == [b"before", large, b"after"]


def test_a_position_behind_the_end_is_an_error(stream: Stream, open_: Opener) -> None:
    stream.append(b"{}")
    source = open_(stream.url)
    position = source.end()[0] + 7
    with pytest.raises(SourceError, match=rf"\b{position}\b"):
        source.seek(unidentified({0: position}))


def test_a_position_in_a_partition_that_is_not_there_is_an_error(stream: Stream, open_: Opener) -> None:
    with pytest.raises(SourceError, match="partition 3"):
        open_(stream.url).seek(unidentified({3: 0}))


def test_acknowledging_does_not_move_the_reader(stream: Stream, open_: Opener) -> None:
    stream.append(*PAYLOADS)
    source = open_(stream.url)
    source.acknowledge({0: read(source, 1, limit=1)[0].next})
    assert [event.payload for event in read(source, 4)] == PAYLOADS[1:]


def test_a_source_may_be_closed_twice(stream: Stream, open_: Opener) -> None:
    source = open_(stream.url)
    source.close()
    source.close()
