"""What every outbox promises, whatever is behind its URL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

import pytest

from ifru.errors import RequestError
from ifrud.requests.dead_letters import DeadLetter
from ifrud.requests.envelope import decode
from ifrud.settings import KafkaSettings
from ifrud.streams.outboxes import OutboxError, Record, open_outbox
from tests.fixtures.streams import Opener, Stream, read


def records(count: int) -> list[Record]:
    return [Record("one key", b'{"number": %d}' % number) for number in range(count)]


def test_records_arrive_whole_and_in_order(stream: Stream, open_: Opener) -> None:
    outbox = open_outbox(stream.url, KafkaSettings())
    sent = records(50)
    outbox.send(sent[:20])
    outbox.send(sent[20:])
    outbox.close()
    assert [event.payload for event in read(open_(stream.url), 50)] == [record.value for record in sent]


def test_sending_nothing_writes_nothing(stream: Stream, open_: Opener) -> None:
    outbox = open_outbox(stream.url)
    outbox.send([])
    outbox.close()
    assert open_(stream.url).end() == {0: 0}


def test_what_was_sent_outlives_a_process_that_is_killed_at_once(stream: Stream, open_: Opener) -> None:
    program = f"""
        import os, signal
        from ifrud.streams.outboxes import Record, open_outbox
        outbox = open_outbox({stream.url!r})
        outbox.send([Record("key", b"%d" % number) for number in range(10)])
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=False, env=dict(os.environ))
    assert done.returncode == -signal.SIGKILL
    assert [event.payload for event in read(open_(stream.url), 10)] == [b"%d" % number for number in range(10)]


def test_a_record_of_a_megabyte_arrives(stream: Stream, open_: Opener) -> None:
    outbox = open_outbox(stream.url)
    outbox.send([Record("key", b"x" * 1_000_000)])
    outbox.close()
    assert [len(event.payload or b"") for event in read(open_(stream.url), 1)] == [1_000_000]


def test_an_event_of_a_megabyte_can_be_read_refused_and_sent_as_a_dead_letter(stream: Stream, open_: Opener) -> None:
    from datetime import UTC, datetime

    from ifrud.requests.dead_letters import dead_letter

    stream.append(b"\x00" * 1_000_000)
    source = open_(stream.url)
    (event,) = read(source, 1)
    with pytest.raises(RequestError, match="has 1000000 bytes, at most 262144 are allowed") as refused:
        decode(event, 262_144)
    outbox = open_outbox(stream.url)
    outbox.send([dead_letter(event, refused.value, source.name, datetime.now(UTC)).record()])
    outbox.close()
    (arrived,) = read(source, 1)
    letter = DeadLetter.model_validate_json(arrived.payload or b"")
    assert (letter.payload_truncated, letter.payload_size) == (True, 1_000_000)
    assert letter.position.offset == event.offset


def test_an_outbox_may_be_closed_twice(stream: Stream) -> None:
    outbox = open_outbox(stream.url)
    outbox.close()
    outbox.close()


def test_an_outbox_that_cannot_be_reached_is_an_error_that_names_it(stream: Stream) -> None:
    place, _, name = stream.url.rpartition("/")
    missing = f"{place}/missing/{name}" if place.startswith("file") else f"{place}/missing"
    with pytest.raises(OutboxError, match="missing"):
        open_outbox(missing)
