"""SIGTERM at any moment, also for process 1 of a container, which has no default action for it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.running import PATIENCE, Places, await_, environment, lines, whole_lines

LINE = [sys.executable, "-m", "ifrud", "run"]
FIRST = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", *LINE]
"""The daemon is process 1 of a namespace of its own."""


@contextmanager
def started(line: list[str], folder: Path, places: Places) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A daemon and its log."""
    log = folder / "log.jsonl"
    with log.open("ab") as out:
        process = subprocess.Popen(
            [*line, *places.flags(), "--admin-port", "0", "--set", "refine=false", "--set", "prove=false"],
            stderr=out,
            stdout=out,
            env=environment(),
        )
    try:
        yield process, log
    finally:
        process.kill()
        process.wait()


def daemon_of(process: subprocess.Popen[bytes], line: list[str]) -> int:
    """The process that signals go to, as seen from here."""
    if line is LINE:
        return process.pid
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    await_(lambda: children.read_text().split(), "process 1 of the namespace")
    return int(children.read_text().split()[0])


@pytest.mark.parametrize("line", [LINE, FIRST], ids=["a process", "process 1"])
def test_a_signal_while_the_daemon_starts_ends_it_at_once_and_one_while_it_works_once_all_is_finished(
    line: list[str], file_places: Places, tmp_path: Path
) -> None:
    if line is FIRST and subprocess.run([*FIRST[:6], "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine lets nobody make a namespace of processes")
    with started(line, tmp_path, file_places) as (process, log):
        await_(lambda: any(b"admin port" in entry for entry in whole_lines(log)), "the start")
        subprocess.run(["kill", str(daemon_of(process, line))], check=True)
        assert process.wait(PATIENCE) == 128 + signal.SIGTERM
        assert b"SIGTERM while it started" in whole_lines(log)[-1]
    with started(line, tmp_path, file_places) as (process, log):
        await_(lambda: any(b'"ready' in entry for entry in whole_lines(log)), "readiness")
        subprocess.run(["kill", str(daemon_of(process, line))], check=True)
        assert process.wait(PATIENCE) == 0
    assert lines(file_places.dead_letters) == []
