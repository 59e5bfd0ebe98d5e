"""Connections to the admin port on which nothing is asked, more of them than a process may have descriptors."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from ifrud.requests.submit import submit
from tests.acceptance.running import Places, await_, daemon, distinct, erase_user, get, lines

CONNECTIONS = 10_000
DESCRIPTORS = 1024
"""What a process may have, unless somebody raised it."""

SPARE = 500


@contextmanager
def descriptors(soft: int) -> Iterator[None]:
    """So many for this process and those that it starts meanwhile."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] not in (resource.RLIM_INFINITY,) and before[1] < soft:
        pytest.skip(f"needs {soft} descriptors, and {before[1]} are allowed here (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_ten_thousand_idle_connections_keep_nobody_from_being_answered(file_places: Places, tmp_path: Path) -> None:
    places = file_places
    with ExitStack() as stack:
        with descriptors(DESCRIPTORS):
            running = stack.enter_context(daemon(tmp_path, places))
            await_(running.ready, "the daemon")
        host, _, port = running.url.rpartition("/")[2].partition(":")
        stack.enter_context(descriptors(CONNECTIONS + SPARE))
        started = time.monotonic()
        for _ in range(CONNECTIONS):
            stack.enter_context(socket.create_connection((host, int(port)), timeout=60))
        connected = time.monotonic()
        for probe in ("healthz", "readyz", "metrics", "status"):
            assert get(f"{running.url}/{probe}").status_code == 200
        probed = time.monotonic()
        submit([erase_user("r1", "u1")], places.events, max_bytes=2**20)
        await_(lambda: "r1" in distinct(lines(places.receipts)), "the receipt")
        answered = time.monotonic()
        assert running.running
        print(
            f"{CONNECTIONS} connections in {connected - started:.2f} s, four pages in {probed - connected:.3f} s, "
            f"a request in {answered - probed:.3f} s"
        )
        stack.pop_all().close()
        assert running.stop() == 0 if running.running else True
