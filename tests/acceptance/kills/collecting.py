"""SIGKILL at every access of a collection to its store.

`python -m tests.acceptance.kills.collecting FOLDER URL` puts the versions of FOLDER below URL for each point, kills a
process that collects them there, collects once more, and compares what is left with what an undisturbed collection
leaves. Another process follows the versions meanwhile. Opens no bucket itself: copies of it do.
"""

from __future__ import annotations

import argparse
import os
import select
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import TypeVar

import torch

from ifru.snapshots import Reader, Retention, Store, Version, collect, newest_purge, open_store
from ifru.stores.local import STAGING, LocalStore
from tests.acceptance.kills.forked import forked
from tests.acceptance.kills.points import DELAY, Killer
from tests.fixtures.failing_store import RecordingStore

TIME = datetime(2027, 1, 1, tzinfo=UTC)
WHEN = ("before", "during", "after")
PERSONAL = ("model", "data", "pending", "candidates", STAGING)
T = TypeVar("T")


class KilledStore:
    """Implements `Store`. Each access is a step of the killer's."""

    def __init__(self, inner: Store, killer: Killer) -> None:
        self._inner, self._killer = inner, killer

    def get(self, path: str) -> bytes:
        return self._step(lambda: self._inner.get(path))

    def list(self, folder: str) -> list[str]:
        return self._step(lambda: self._inner.list(folder))

    def exists(self, path: str) -> bool:
        return self._step(lambda: self._inner.exists(path))

    def put(self, path: str, data: bytes) -> None:
        self._step(lambda: self._inner.put(path, data))

    def create(self, path: str, data: bytes) -> None:
        self._step(lambda: self._inner.create(path, data))

    def delete(self, path: str) -> None:
        self._step(lambda: self._inner.delete(path))

    def _step(self, work: Callable[[], T]) -> T:
        return self._killer.step("access", work)


def collected(store: Store) -> None:
    """All that need not be retained is collected at once."""
    collect(store, Retention(timedelta(0)), lambda: TIME)


def contents(store: Store) -> dict[str, bytes]:
    """Everything in a store, with what a local one stages."""
    return {path: store.get(path) for path in [*store.list(""), *store.list(STAGING)]}


class Plays:
    """folder: of the versions. url: below which copies are made. log: where copies of this process write."""

    def __init__(self, folder: Path, url: str, log: Path) -> None:
        self._folder, self._url, self._log = folder, url, log
        self._prepared, self._held = contents(LocalStore(folder)), Reader(LocalStore(folder)).load(1)
        recording = RecordingStore(LocalStore(log.parent / "undisturbed"))
        self._put(recording)
        recording.calls.clear()
        collected(recording)
        self.accesses = len(recording.calls)
        self._left = contents(recording)

    def play(self, number: int, when: str) -> None:
        """Kill one that collects at an access, another one at half of that, and let a third one end.

        Raises RuntimeError with what went wrong.
        """
        url = f"{self._url}/{when}-{number}"
        delay = Random(f"{number} {when}").uniform(0.0, DELAY)
        if url.startswith("file:"):
            shutil.copytree(self._folder, url.removeprefix("file://"))
        else:
            self._do(lambda: self._put(open_store(url)))
        first = Killer(f"{when} access", number, delay)
        if not self._killed(url, first, lambda until: self._do(lambda: self._follow(url, until))):
            raise RuntimeError("the collection has come to an end")
        self._killed(url, Killer(f"{when} access", (number + 1) // 2, delay))
        self._do(lambda: self._end(url))

    def _put(self, store: Store) -> None:
        for path, data in self._prepared.items():
            store.put(path, data)

    def _killed(self, url: str, killer: Killer, meanwhile: Callable[[int], None] = lambda until: None) -> bool:
        """Whether a process that collects was killed. meanwhile(until): done until that descriptor is at its end."""
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                collected(KilledStore(open_store(url), killer))
            except BaseException:  # noqa: BLE001 - the copy ends here, whatever it was
                self._log.write_text(traceback.format_exc())
                os._exit(1)
            os._exit(0)
        os.close(writing)
        try:
            meanwhile(reading)
        finally:
            os.close(reading)
            _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status) and status:
            raise RuntimeError(f"the collection failed: {self._log.read_text()}")
        return os.WIFSIGNALED(status)

    def _follow(self, url: str, until: int) -> None:
        """A reader goes on to the newest version from one that is collected meanwhile, again and again."""
        store = open_store(url)
        alive = True
        while alive:
            alive = not select.select([until], [], [], 0)[0]
            found: Version = Reader(store).advance(self._held)
            assert found.manifest.version == Reader(store).newest()
        if newest_purge(store) is not None:
            left = {path for path in contents(store) if path.split("/")[0] in PERSONAL}
            assert left <= self._left.keys(), "said to be purged, and still there"

    def _end(self, url: str) -> None:
        store = open_store(url)
        collected(store)
        assert contents(store) == self._left, "not what an undisturbed collection leaves"

    def _do(self, work: Callable[[], None]) -> None:
        if not forked(work, self._log):
            raise RuntimeError("a process was killed that nobody was to kill")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.acceptance.kills.collecting", description=__doc__)
    parser.add_argument("folder", type=Path, help="of versions that are to be collected")
    parser.add_argument("url", help="below which copies are made: file:///DIR or s3://BUCKET/PREFIX")
    parser.add_argument("--every", type=int, default=1, help="kill at every so many accesses only (default: 1)")
    parser.add_argument("--when", nargs="*", choices=WHEN, help="before, during or after each (default: in turn)")
    given = parser.parse_args()
    torch.set_num_threads(1)
    began, kills, broken = time.monotonic(), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        plays = Plays(given.folder, given.url.rstrip("/"), Path(folder) / "log")
        for number in range(1, plays.accesses + 1, given.every):
            for when in given.when or (WHEN[number // given.every % len(WHEN)],):
                kills += 1
                try:
                    plays.play(number, when)
                except RuntimeError as error:
                    broken += 1
                    print(f"killed {when} access {number}: {error}", flush=True)
    seconds = time.monotonic() - began
    print(f"{plays.accesses} accesses, killed at {kills}, {broken} broken, {seconds:.0f} s")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
