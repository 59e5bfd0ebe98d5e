"""A year of one request an hour, in simulated time: what grows and what does not. `python -m tests.simulation.year`."""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
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
from ifru.snapshots import FullState, Reader, Residual, Writer
from ifru.training import fit
from ifrud.pipeline import Streams
from ifrud.process import assemble
from ifrud.prover import Prover
from ifrud.service import Service
from ifrud.settings import Settings
from tests.daemon.world import TIME, World, pairs, request
from tests.fixtures.failing_store import RecordingStore
from tests.simulation.broker import Broker
from tests.simulation.bucket import NO_TROUBLE, Access, Bucket
from tests.simulation.chance import Chance
from tests.simulation.outbox import Arrivals
from tests.simulation.requests import Sent

USERS, ITEMS, ROWS = 200, 150, 12_000
HOUR, HOURS = 3600.0, 8760
WEEK = 168
"""Hours after which the daemon is started anew."""

CONFIG = MFConfig(rank=4, l2=0.1)


@dataclass(frozen=True)
class Look:
    """What lies in the bucket at the end of a week, and what the next start takes.

    objects, bytes: by folder. reads: objects that the start reads. resident: MiB. receipts: that were ever sent.
    """

    hours: int
    version: int
    objects: dict[str, int]
    bytes: dict[str, int]
    reads: int
    resident: float
    receipts: int


class Year:
    """One daemon, its bucket, and a request an hour: half of them erase a pair, and half mean nothing that is there."""

    def __init__(self, seed: int) -> None:
        self.random, self.bucket, self.broker = Random(seed), Bucket(), Broker(Random(seed))
        self.seconds, self.sent = 0.0, 0
        self.receipts: list[bytes] = []
        self.store = Access(self.bucket, NO_TROUBLE, Chance(0), lambda what: None)
        dataset = started(self.store)
        self._pairs = sorted(pairs(dataset))
        self.random.shuffle(self._pairs)

    def utc(self) -> datetime:
        return TIME + timedelta(seconds=self.seconds)

    def week(self, number: int, hours: int) -> Look:
        """A process that lives for so many hours."""
        recording, due = RecordingStore(self.store), self.seconds + hours * HOUR
        started_reads: list[int] = []

        def stop() -> bool:
            if not started_reads:
                started_reads.append(sum(operation == "get" for operation, _ in recording.calls))
            return self.seconds >= due

        self._service(f"week {number}", recording).run(stop, drain=False)
        objects, sizes = self._folders()
        version = Reader(self.store).newest()
        return Look(self.sent, version, objects, sizes, started_reads[0], resident(), len(self.receipts))

    def _service(self, name: str, store: RecordingStore) -> Service:
        urls = {stream: f"file:///{stream}.jsonl" for stream in ("events", "receipts", "dead_letters")}
        settings = Settings.model_validate(
            {**urls, "store": "memory://", "prove": False, "refine": False, "collect": {"older_than": "7d"}}
        )
        outboxes = [
            Arrivals(f"{name} {n}", at, 0.0, 0.0, Chance(0), self.store) for n, at in enumerate((self.receipts, []))
        ]
        source = self.broker.source(lambda: self.utc().timestamp(), self._wait, None)
        attempts = iter(range(10**6))
        return assemble(
            settings,
            store,
            Streams(source, *outboxes),
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

    def _folders(self) -> tuple[dict[str, int], dict[str, int]]:
        objects: dict[str, int] = {}
        sizes: dict[str, int] = {}
        for path, data in self.bucket.objects.items():
            folder = path.split("/")[0]
            objects[folder], sizes[folder] = objects.get(folder, 0) + 1, sizes.get(folder, 0) + len(data)
        return objects, sizes


def started(store: Access) -> Dataset:
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


def resident() -> float:
    """MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


def main(say: Callable[[str], None] = print) -> list[Look]:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.year", description=__doc__)
    parser.add_argument("--hours", type=int, default=HOURS, help=f"how many (default: {HOURS})")
    parser.add_argument("--json", type=Path, help="write every week's figures to this file")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    year, looks, begun = Year(0), list[Look](), time.monotonic()
    for number in range(-(-given.hours // WEEK)):
        looks.append(year.week(number, min(WEEK, given.hours - number * WEEK)))
        if number % 4 == 3 or number == -(-given.hours // WEEK) - 1:
            look, kilobytes = looks[-1], {folder: size // 1000 for folder, size in looks[-1].bytes.items()}
            say(
                f"{look.hours} hours, version {look.version}: objects {look.objects}, kB {kilobytes}, a start reads "
                f"{look.reads} objects, {look.resident:.0f} MiB, {look.receipts} receipts, "
                f"{time.monotonic() - begun:.0f} s"
            )
    if given.json:
        given.json.write_text(json.dumps([vars(look) for look in looks], indent=1))
    return looks


if __name__ == "__main__":
    main()
