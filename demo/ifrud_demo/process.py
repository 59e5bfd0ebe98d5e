"""The daemon as a process of its own, and the files between it and the demo."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from ifru.errors import IfruError

STOP_SECONDS = 15.0
"""How long a daemon may take to finish the batch in hand."""


class DemoError(IfruError):
    """The daemon failed, or did something else than it was asked for."""


class Files:
    """The demo's files. data: ratings that were downloaded. requests: all that were sent."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "ratings.csv"
        self.requests = folder / "requests.jsonl"
        self.store = folder / "store"
        self.events = folder / "events.jsonl"
        self.receipts = folder / "receipts.jsonl"
        self.dead_letters = folder / "dead-letters.jsonl"
        self.log = folder / "log.jsonl"


@contextmanager
def daemon(files: Files, environment: Mapping[str, str] = os.environ) -> Iterator[subprocess.Popen[bytes]]:
    """An `ifrud run` process that is gone afterwards, also where the demo is interrupted."""
    # Settings of a daemon that is run from the same shell are not the demo's.
    clean = {name: value for name, value in environment.items() if not name.upper().startswith("IFRUD_")}
    streams = {
        "--events": files.events,
        "--store": files.store,
        "--receipts": files.receipts,
        "--dead-letters": files.dead_letters,
    }
    flags = [part for flag, path in streams.items() for part in (flag, path.as_uri())]
    # A demo forgets more of a small data set than anybody would ask for within an hour.
    flags += ["--admin-port", "0", "--set", "brake_share=1"]
    command = [sys.executable, "-P", "-m", "ifrud", "run", *flags]
    with files.log.open("ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=clean)
    try:
        yield process
    finally:
        _end(process)


def stop(process: subprocess.Popen[bytes]) -> int:
    """Have a daemon finish the batch in hand; its exit code. Raises subprocess.TimeoutExpired."""
    process.terminate()
    return process.wait(STOP_SECONDS)


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        if process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                stop(process)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
