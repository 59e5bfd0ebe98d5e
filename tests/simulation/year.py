"""A year of one request an hour, in simulated time: what grows and what does not. `python -m tests.simulation.year`."""

from __future__ import annotations

import argparse
import json
import logging
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import numpy as np
import structlog
import torch

from ifru.interactions import Dataset
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import Recorded, split
from ifru.models import MFConfig
from ifru.objective.parameters import Parameters
from ifru.snapshots import AlreadyExists, FullState, NotFound, Reader, Residual, Store, Writer
from ifru.training import fit
from ifrud.pipeline import Streams
from ifrud.process import assemble
from ifrud.prover import Prover
from ifrud.service import Service
from ifrud.settings import Settings
from ifrud.streams.outboxes import Record
from tests.daemon.world import TIME, World, pairs, request
from tests.simulation.broker import Broker
from tests.simulation.requests import Sent

USERS, ITEMS, ROWS = 200, 150, 12_000
HOUR, HOURS, DAY = 3600.0, 8760, 24
WEEK, QUARTER = 168, 2190
"""Hours after which the daemon is started anew, and after which somebody looks what there is."""

CONFIG = MFConfig(rank=4, l2=0.1)


@dataclass(frozen=True)
class Start:
    """What the start of a daemon takes that is followed by no event. reads: objects. cpu: seconds of the processor.

    resident: MiB at most. idle: the same of a process that has only imported everything.
    """

    reads: int
    cpu: float
    resident: float
    idle: float


@dataclass(frozen=True)
class Look:
    """What lies in the bucket. objects, bytes: by folder. receipts: that were ever sent. start: the next one."""

    hours: int
    version: int
    objects: dict[str, int]
    bytes: dict[str, int]
    receipts: int
    start: Start


class Shelves:
    """Implements `Store` in memory; to list a folder takes as long as there are files in it."""

    def __init__(self) -> None:
        self.folders: defaultdict[str, dict[str, bytes]] = defaultdict(dict)

    def get(self, path: str) -> bytes:
        try:
            return self._folder(path)[path]
        except KeyError:
            raise NotFound(f"{path}: there is no such file") from None

    def put(self, path: str, data: bytes) -> None:
        self._folder(path)[path] = data

    def create(self, path: str, data: bytes) -> None:
        if self._folder(path).setdefault(path, data) is not data:
            raise AlreadyExists(f"{path}: exists already")

    def list(self, folder: str) -> list[str]:
        inside = f"{folder}/" if folder else ""
        parts = [self._folder(inside)] if folder else list(self.folders.values())
        return sorted(path for part in parts for path in part if path.startswith(inside))

    def exists(self, path: str) -> bool:
        return path in self._folder(path)

    def delete(self, path: str) -> None:
        self._folder(path).pop(path, None)

    def _folder(self, path: str) -> dict[str, bytes]:
        return self.folders[path.partition("/")[0]]


class Counted:
    """Implements `Outbox`, and keeps nothing."""

    def __init__(self) -> None:
        self.count = 0

    def send(self, records: Sequence[Record]) -> None:
        self.count += len(records)

    def close(self) -> None:
        """Nothing to give back."""


class Year:
    """One daemon, its bucket, and a request an hour: half of them erase a pair, and half mean nothing that is there."""

    def __init__(self, seed: int) -> None:
        self.random, self.store, self.broker = Random(seed), Shelves(), Broker(Random(seed))
        self.seconds, self.sent = 0.0, 0
        self.receipts, self.letters = Counted(), Counted()
        dataset = started(self.store)
        self._pairs = sorted(pairs(dataset))
        self.random.shuffle(self._pairs)

    def utc(self) -> datetime:
        return TIME + timedelta(seconds=self.seconds)

    def live(self, until: int) -> None:
        """A process that lives up to an hour."""
        self._service(f"until {until}").run(lambda: self.seconds >= until * HOUR, drain=False)
        # What was read long ago is not needed any more, and would take time and memory.
        for log in self.broker.logs:
            log.begin, log.records = max(log.begin, log.end - DAY), log.records[-DAY:]

    def look(self) -> Look:
        """What there is now, and what a start takes, as a process of its own finds out on a copy."""
        objects = {folder: len(files) for folder, files in self.store.folders.items() if files}
        sizes = {folder: sum(map(len, self.store.folders[folder].values())) for folder in objects}
        with tempfile.TemporaryDirectory() as folder:
            for files in self.store.folders.values():
                for path, data in files.items():
                    (Path(folder) / path).parent.mkdir(exist_ok=True, parents=True)
                    (Path(folder) / path).write_bytes(data)
            line = [sys.executable, "-m", "tests.simulation.year_start", folder, str(self.seconds)]
            said = subprocess.run(line, check=True, capture_output=True, text=True).stdout
        start = Start(**json.loads(said.splitlines()[-1]))
        return Look(self.sent, Reader(self.store).newest(), objects, sizes, self.receipts.count, start)

    def _service(self, name: str) -> Service:
        source = self.broker.source(lambda: self.utc().timestamp(), self._wait, None)
        attempts = iter(range(10**6))
        return assemble(
            settings(),
            self.store,
            Streams(source, self.receipts, self.letters),
            World.reporter(),
            Prover(),
            now=lambda: self.seconds,
            utc=self.utc,
            wait=self._wait,
            attempt=lambda: f"{name.replace(' ', '-')}-{next(attempts)}",
        )

    def _wait(self, seconds: float) -> None:
        """Waits are ten minutes long where nothing is in hand; a request comes each hour."""
        before = self.seconds
        self.seconds += 600.0 if seconds >= 0.1 else max(seconds, 1e-6)
        if int(self.seconds // HOUR) > int(before // HOUR):
            self._send()

    def _send(self) -> None:
        number, self.sent = self.sent, self.sent + 1
        pair = self._pairs.pop() if number % 2 and self._pairs else ("nobody", "nothing")
        payload = request(f"r{number}", type="erase_interactions", interactions=[list(pair)])
        self.broker.append([Sent(number, payload, ("", f"r{number}"), None, frozenset([pair]))])


def settings() -> Settings:
    """Of the daemon, whose streams are given to it."""
    urls = {stream: f"file:///{stream}.jsonl" for stream in ("events", "receipts", "dead_letters")}
    return Settings.model_validate(
        {**urls, "store": "memory://", "prove": False, "refine": False, "collect": {"older_than": "7d"}}
    )


def started(store: Store) -> Dataset:
    """Version 1."""
    random = np.random.default_rng(0)
    drawn = random.permutation(USERS * ITEMS)[:ROWS]
    user, item = (drawn // ITEMS).astype(np.int32), (drawn % ITEMS).astype(np.int32)
    liked = random.normal(size=(USERS, 3)) @ random.normal(size=(3, ITEMS)) > 0
    names = [f"user {n}" for n in range(USERS)], [f"item {n}" for n in range(ITEMS)]
    recorded = Recorded(user, item, liked[user, item].astype(np.float64), None, *names)
    dataset = split(recorded, LabelRule.parse("liked"), holdout=0.1, seed=0)
    theta = fit(dataset.train, CONFIG, seed=0, device=torch.device("cpu"), dtype=torch.float32).theta
    figures = {"influence": None, "settled": None, "total": 0.0, "batch_energy": 0.0, "added_energy": 0.0}
    residual = Residual.model_validate({**figures, "method": "training", "reason": "tolerance"})
    state = FullState(CONFIG, Parameters.unstacked(theta, USERS), dataset.copy())
    Writer(store, lambda: TIME, lambda: "start").start(state, {}, residual)
    return dataset


def said(look: Look) -> str:
    """A look in one line."""
    kilobytes, start = {folder: size // 1000 for folder, size in look.bytes.items()}, look.start
    return (
        f"{look.hours} hours, version {look.version}: objects {look.objects}, kB {kilobytes}; a start reads "
        f"{start.reads} objects, {start.cpu:.2f} s of the processor, {start.resident:.0f} MiB at most, of which "
        f"{start.idle:.0f} without a version; {look.receipts} receipts"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.year", description=__doc__)
    parser.add_argument("--hours", type=int, default=HOURS, help=f"how many (default: {HOURS})")
    parser.add_argument("--look", type=int, default=QUARTER, help=f"say so often what there is (default: {QUARTER})")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    year, looks, hour, begun = Year(0), list[Look](), 0, time.process_time()
    while hour < given.hours:
        due = (hour // given.look + 1) * given.look
        hour = min(hour + WEEK, due, given.hours)
        year.live(hour)
        if hour in (due, given.hours):
            looks.append(year.look())
            print(said(looks[-1]), f"({time.process_time() - begun:.0f} s)", flush=True)
    if given.json:
        given.json.write_text(json.dumps([asdict(look) for look in looks], indent=1))


if __name__ == "__main__":
    main()
