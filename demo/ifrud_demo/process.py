"""The daemon as a process of its own, and the files between it and the demo."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

STOP_SECONDS = 15.0
"""How long a daemon may take to finish the batch in hand."""


@dataclass(frozen=True)
class Places:
    """What lies in the demo's folder. data: ratings that were downloaded. requests: all that were sent."""

    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "ratings.csv"

    @property
    def requests(self) -> Path:
        return self.folder / "requests.jsonl"

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @property
    def events(self) -> Path:
        return self.folder / "events.jsonl"

    @property
    def receipts(self) -> Path:
        return self.folder / "receipts.jsonl"

    @property
    def dead_letters(self) -> Path:
        return self.folder / "dead-letters.jsonl"

    @property
    def log(self) -> Path:
        return self.folder / "log.jsonl"

    def flags(self) -> list[str]:
        """Of `ifrud run`."""
        named = {
            "events": self.events,
            "store": self.store,
            "receipts": self.receipts,
            "dead-letters": self.dead_letters,
        }
        return [part for name, path in named.items() for part in (f"--{name}", path.as_uri())]


class Daemon:
    """An `ifrud run` process, which writes its log to a file."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def stop(self) -> int:
        """Have it finish the batch in hand; its exit code. Raises subprocess.TimeoutExpired."""
        self._process.terminate()
        return self._process.wait(STOP_SECONDS)

    def end(self) -> None:
        """Make sure that it is gone, whatever else happens."""
        try:
            if self.exit_code is None:
                with suppress(subprocess.TimeoutExpired):
                    self.stop()
        finally:
            if self.exit_code is None:
                self._process.kill()
                self._process.wait()


@contextmanager
def started(places: Places, environment: Mapping[str, str] = os.environ) -> Iterator[Daemon]:
    """A daemon that is gone afterwards, also where the demo is interrupted."""
    # Settings of a daemon that is run from the same shell are not the demo's.
    clean = {name: value for name, value in environment.items() if not name.upper().startswith("IFRUD_")}
    command = [sys.executable, "-P", "-m", "ifrud", "run", *places.flags(), "--admin-port", "0"]
    with places.log.open("ab") as log:
        daemon = Daemon(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=clean))
    try:
        yield daemon
    finally:
        daemon.end()
