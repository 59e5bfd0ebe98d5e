"""Real `ifru` and `ifrud` processes, and what they leave behind."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
from kafka import KafkaConsumer, TopicPartition

from ifru.interactions import Dataset
from ifru.snapshots import Manifest, Reader, Version, open_store
from ifrud.streams.endpoints import TopicEndpoint, parse_endpoint

USERS, ITEMS, ROWS = 250, 120, 6000
PATIENCE = 120.0
Pair = tuple[str, str]


def command(name: str) -> str:
    """The path of a console script of this environment."""
    return str(Path(sys.executable).with_name(name))


def environment() -> dict[str, str]:
    """This process's, without settings of a daemon that somebody runs here."""
    return {name: value for name, value in os.environ.items() if not name.startswith("IFRUD_")}


def write_ratings(path: Path, seed: int = 0) -> None:
    """A data set with structure: users like what is near their taste."""
    source = np.random.default_rng(seed)
    taste = source.normal(size=(USERS, 4)) @ source.normal(size=(4, ITEMS))
    lines = ["user,item,rating"]
    for number in source.permutation(USERS * ITEMS)[:ROWS]:
        user, item = divmod(int(number), ITEMS)
        lines.append(f"u{user},i{item},{5 if taste[user, item] > 0 else 2}")
    path.write_text("\n".join(lines) + "\n")


def run(*arguments: str, timeout: float = PATIENCE) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself."""
    line = [command(arguments[0]), *arguments[1:]]
    return subprocess.run(line, capture_output=True, text=True, timeout=timeout, env=environment(), check=False)


def get(url: str) -> httpx.Response:
    """What an admin port answers, however slow the machine is."""
    return httpx.get(url, timeout=PATIENCE)


def whole_lines(path: Path) -> list[bytes]:
    """Lines of a file that somebody may be writing to; none where there is no file."""
    return path.read_bytes().rpartition(b"\n")[0].splitlines() if path.exists() else []


def await_(condition: Callable[[], bool], what: str) -> None:
    """Return once a condition holds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {PATIENCE:.0f} s for {what}")
        time.sleep(0.005)


@dataclass(frozen=True)
class Places:
    """Where a daemon reads and writes. bucket: URL of a store that takes the place of the folder."""

    store: Path
    events: str
    receipts: str
    dead_letters: str
    bucket: str | None = None

    @property
    def streams(self) -> tuple[str, str, str]:
        return self.events, self.receipts, self.dead_letters

    @property
    def store_url(self) -> str:
        return self.bucket or self.store.as_uri()

    def flags(self) -> list[str]:
        urls = {"events": self.events, "receipts": self.receipts, "dead-letters": self.dead_letters}
        named = [part for name, url in urls.items() for part in (f"--{name}", url)]
        return [*named, "--store", self.store_url]

    def version(self) -> Version:
        return Reader(open_store(self.store_url)).load()

    def manifests(self) -> list[Manifest]:
        reader = Reader(open_store(self.store_url))
        return [reader.manifest(number) for number in range(1, reader.newest() + 1)]

    def published(self) -> int:
        """How many versions there are; cheap enough to ask all the time."""
        return len(list((self.store / "manifests").iterdir()))


class Daemon:
    """An `ifrud run` process."""

    def __init__(self, folder: Path, places: Places, *flags: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._address = folder / "admin.url"
        self._address.unlink(missing_ok=True)
        self._log = folder / "log.jsonl"
        own = ["--admin-port", "0", "--admin-file", str(self._address), "--set", "brake_share=1"]
        # Receipts of proofs come when there is time for them.
        own += ["--set", "prove_requests=false"]
        line = [command("ifrud"), "run", *places.flags(), *own]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([*line, *flags], stderr=log, stdout=log, env=environment())

    @property
    def url(self) -> str:
        """Of the admin port."""
        await_(self._address.exists, f"the admin port; the log says {self.log()[-1:]}")
        return self._address.read_text().strip()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def ready(self) -> bool:
        return any(line["event"].startswith("ready") for line in self.log())

    def kill(self) -> None:
        """As the kernel does it: no chance to finish anything."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def pause(self) -> None:
        """As a machine does that is suspended, until `go_on`."""
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self._process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Its exit code."""
        return self._process.wait(timeout=PATIENCE)

    def log(self) -> list[dict[str, str]]:
        return [json.loads(line) for line in whole_lines(self._log)]


@contextmanager
def daemon(folder: Path, places: Places, *flags: str) -> Iterator[Daemon]:
    """A daemon that is gone afterwards, whatever happens."""
    running = Daemon(folder, places, *flags)
    try:
        yield running
    finally:
        if running.running:
            running.kill()


def lines(url: str) -> list[dict[str, object]]:
    """Everything in a JSONL file or a topic."""
    return [json.loads(value) for value in values(url)]


def values(url: str) -> list[bytes]:
    """The same, as it was written."""
    endpoint = parse_endpoint(url)
    if not isinstance(endpoint, TopicEndpoint):
        return whole_lines(endpoint.path)
    consumer = KafkaConsumer(bootstrap_servers=list(endpoint.servers), group_id=None, auto_offset_reset="earliest")
    try:
        places = [
            TopicPartition(endpoint.topic, partition) for partition in consumer.partitions_for_topic(endpoint.topic)
        ]
        consumer.assign(places)
        ends = consumer.end_offsets(places)
        found: list[bytes] = []
        while any(consumer.position(place) < end for place, end in ends.items()):
            for records in consumer.poll(timeout_ms=500).values():
                found += [record.value for record in records]
        return found
    finally:
        consumer.close()


def pairs(dataset: Dataset) -> Counter[Pair]:
    """What a data set retains, as external ids."""
    users, items = list(dataset.users), list(dataset.items)
    return Counter(
        (str(users[user]), str(items[item]))
        for part in (dataset.train, dataset.holdout)
        for user, item in zip(part.user[part.alive], part.item[part.alive], strict=True)
    )


def erase_pair(name: str, pair: Pair) -> bytes:
    return request(name, type="erase_interactions", interactions=[pair])


def erase_user(name: str, user: str) -> bytes:
    return request(name, type="erase_user", subject=user)


def request(name: str, **content: object) -> bytes:
    return json.dumps({"id": name, "time": "2026-11-21T10:00:00Z", **content}).encode()


def drawn(version: Version, count: int, source: random.Random) -> list[Pair]:
    """Pairs to be forgotten."""
    return source.sample(sorted(pairs(version.dataset)), count)


def distinct(receipts: Sequence[dict[str, object]]) -> dict[object, set[object]]:
    """request id -> the different receipts that it got."""
    found: dict[object, set[object]] = {}
    for receipt in receipts:
        found.setdefault(receipt["request_id"], set()).add(json.dumps(receipt, sort_keys=True))
    return found
