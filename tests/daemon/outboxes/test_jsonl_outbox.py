"""What a JSONL file adds to the promises of an outbox."""

from __future__ import annotations

import fcntl
import itertools
import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from ifrud.streams.outboxes import OutboxError, Record
from ifrud.streams.outboxes.jsonl import JsonlOutbox


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "receipts.jsonl"


def append(path: Path, *values: bytes) -> None:
    JsonlOutbox(path).send([Record("key", value) for value in values])


def test_a_torn_last_line_is_cut_off_before_the_next_record(path: Path) -> None:
    path.write_bytes(b'{"id": 1}\n{"id": 2, "sta')
    append(path, b'{"id": 3}')
    assert path.read_bytes() == b'{"id": 1}\n{"id": 3}\n'


def test_a_torn_only_line_is_cut_off(path: Path) -> None:
    path.write_bytes(b'{"id"')
    append(path, b'{"id": 3}')
    assert path.read_bytes() == b'{"id": 3}\n'


def test_a_torn_line_of_any_length_and_depth_is_cut_off(path: Path) -> None:
    path.write_bytes(b'{"id": 1}\n' + b"[" * 200_000)
    append(path, b'{"id": 3}')
    assert path.read_bytes() == b'{"id": 1}\n{"id": 3}\n'


def test_a_whole_document_that_lacks_its_newline_is_kept(path: Path) -> None:
    path.write_bytes(b'{"id": 1}\n{"id": 2}')
    append(path, b'{"id": 3}')
    assert path.read_bytes() == b'{"id": 1}\n{"id": 2}\n{"id": 3}\n'


def test_opening_repairs_too(path: Path) -> None:
    path.write_bytes(b'{"id": 1}\n{"id"')
    JsonlOutbox(path)
    assert path.read_bytes() == b'{"id": 1}\n'


def test_a_value_of_several_lines_is_refused(path: Path) -> None:
    with pytest.raises(ValueError, match="a file holds lines"):
        append(path, b"{\n}")
    assert path.read_bytes() == b""


def test_a_file_that_stays_locked_is_an_error_that_says_what_to_do(path: Path) -> None:
    seconds = itertools.count()
    outbox = JsonlOutbox(path, wait=lambda seconds: None, now=lambda: next(seconds))
    with path.open("ab") as suspended:
        fcntl.flock(suspended, fcntl.LOCK_EX)
        with pytest.raises(OutboxError, match=r"receipts\.jsonl': another process .* locked for 10 s.*end it"):
            outbox.send([Record("key", b"{}")])
    outbox.send([Record("key", b"{}")])
    assert path.read_bytes() == b"{}\n"


def test_a_file_that_is_locked_for_a_while_is_waited_for(path: Path) -> None:
    with path.open("ab") as other:
        outbox = JsonlOutbox(path, wait=lambda seconds: fcntl.flock(other, fcntl.LOCK_UN), now=lambda: 0.0)
        fcntl.flock(other, fcntl.LOCK_EX)
        outbox.send([Record("key", b"{}")])
    assert path.read_bytes() == b"{}\n"


def test_a_disk_that_fills_up_is_an_error_and_leaves_nothing_torn_behind(path: Path) -> None:
    # A limit on the size of files holds for a whole process, so the one that meets it is not this one.
    program = f"""
        import resource, signal
        from pathlib import Path
        from ifrud.streams.outboxes import OutboxError, Record
        from ifrud.streams.outboxes.jsonl import JsonlOutbox
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (25, 25))
        outbox = JsonlOutbox(Path({str(path)!r}))
        outbox.send([Record("key", b'{{"id": 1}}')])
        try:
            outbox.send([Record("key", b'{{"id": 2}}'), Record("key", b'{{"id": 3}}')])
        except OutboxError as error:
            assert "2 records not written" in str(error), error
        else:
            raise AssertionError("a full disk went unnoticed")
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True)
    assert len(path.read_bytes()) == 25
    append(path, b'{"id": 2}', b'{"id": 3}')
    assert [json.loads(line)["id"] for line in path.read_bytes().splitlines()] == [1, 2, 2, 3]


def test_several_processes_can_write_to_one_file(path: Path) -> None:
    program = f"""
        import sys
        from pathlib import Path
        from ifrud.streams.outboxes import Record
        from ifrud.streams.outboxes.jsonl import JsonlOutbox
        outbox = JsonlOutbox(Path({str(path)!r}))
        for number in range(20):
            value = b'{{"writer": %d, "filler": "%s"}}' % (int(sys.argv[1]), b"x" * 100_000)
            outbox.send([Record("key", value)])
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    processes = [subprocess.Popen([*command, str(writer)]) for writer in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    writers = [json.loads(line)["writer"] for line in path.read_bytes().splitlines()]
    assert [writers.count(writer) for writer in range(3)] == [20, 20, 20]
