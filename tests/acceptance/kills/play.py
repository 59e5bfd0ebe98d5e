"""One play: requests are sent, one process after the other is killed at a point of its own, and the last one lives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from zlib import crc32

from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic

from ifru.snapshots import open_store
from tests.acceptance.kills.aftermath import check_all
from tests.acceptance.kills.forked import forked
from tests.acceptance.kills.life import BATCH, Urls, live
from tests.acceptance.kills.points import DELAY, REPEATED, Killer
from tests.daemon.world import Pair, start
from tests.simulation.requests import Sender, Sent

PARTITIONS = 2
TRIES = 20
"""Processes that may live on before it is said that a point is never reached."""

DECISIONS = 3
"""Approvals and rejections that are sent at once, at most; of requests that may be held, or be answered."""

NEVER = Killer(None, 0, 0.0)


class Play:
    """name: what no other play is called. bootstrap: HOST:PORT of a broker. bucket: s3://bucket/prefix.

    initial: what the model that is started with holds. folder: an empty one. seed: what is sent, and when it is killed.
    """

    def __init__(
        self, name: str, bootstrap: str, bucket: str, initial: Counter[Pair], folder: Path, seed: int | str
    ) -> None:
        self._bootstrap, self._initial, self._log = bootstrap, initial, folder / "log"
        self._topics = [f"kills-{name}-{kind}" for kind in ("events", "receipts", "letters")]
        self._urls = Urls(f"{bucket}/{name}", *(f"kafka://{bootstrap}/{topic}" for topic in self._topics))
        self._random = Random(seed)
        self._sender = Sender(self._random, frozenset(initial))
        self._sent: list[Sent] = []
        self.kills = 0

    def play(self, points: Sequence[str]) -> None:
        """Kill a process at each of some points, in this order. Raises RuntimeError with what went wrong."""
        self._fork(self._set_up)
        self._send(2 * BATCH)
        for point in points:
            self._kill_at(point)
        self._fork(lambda: live(self._urls, NEVER))
        self._fork(lambda: check_all(self._urls, open_store(self._urls.store), self._initial, self._sent))

    def _kill_at(self, point: str) -> None:
        again = point.endswith(REPEATED)
        number = 1 if again else self._random.randint(1, 3)
        for _ in range(TRIES):
            if again:
                # Only what the newest version answered is receipted once more.
                self._kill_at("after create answers")
            self._send(self._random.randint(1, 2 * BATCH))
            killer = Killer(point, number, self._random.uniform(0.0, DELAY))
            if not forked(lambda killer=killer: live(self._urls, killer), self._log):  # type: ignore[misc]
                self.kills += 1
                return
            number = 1
        raise RuntimeError(f"no process was killed {point}: it is never reached")

    def _send(self, count: int) -> None:
        known = sorted({each.identity for each in self._sent if each.identity and each.pairs})
        named = self._random.sample(known, min(len(known), self._random.randint(0, DECISIONS)))
        records = [self._sender.next() for _ in range(count)]
        records += [self._sender.decision(each, approves=self._random.random() < 0.5) for each in named]
        self._sent += records
        self._fork(lambda: self._produce(records))

    def _fork(self, work: Callable[[], None]) -> None:
        if not forked(work, self._log):
            raise RuntimeError("a process was killed that nobody was to kill")

    def _set_up(self) -> None:
        with KafkaAdminClient(bootstrap_servers=self._bootstrap) as admin:
            counts = (PARTITIONS, 1, 1)
            admin.create_topics([NewTopic(name, count, 1) for name, count in zip(self._topics, counts, strict=True)])
            admin.wait_for_topics(self._topics)
        start(open_store(self._urls.store))

    def _produce(self, records: Sequence[Sent]) -> None:
        """Requests of one identity go to one partition, so they keep their order."""
        producer = KafkaProducer(bootstrap_servers=self._bootstrap, acks="all", enable_idempotence=True)
        for record in records:
            partition = crc32(repr(record.identity or record.number).encode()) % PARTITIONS
            producer.send(self._topics[0], record.payload, partition=partition)
        producer.flush()
        producer.close()
