"""A Kafka topic of a world, what happens to topics, and how the daemon's source sees it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from random import Random

from kafka import TopicPartition
from kafka.errors import LogTruncationError, OffsetOutOfRangeError
from kafka.structs import OffsetAndMetadata

from ifrud.streams.sources import Source, SourceError
from ifrud.streams.sources.kafka import KafkaSource
from ifrud.streams.sources.kafka_topic import Topic
from tests.simulation.requests import Sent

NAME = "requests"


@dataclass(frozen=True)
class Record:
    """As the client hands it over, as far as the source looks at it."""

    partition: int
    offset: int
    leader_epoch: int
    value: bytes
    sent: Sent
    timestamp: int = -1
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass
class Log:
    """A partition. begin: offset of the oldest record. starts: leader epoch -> where it began, if it left records.

    epoch: of its leader now.
    """

    records: list[Record] = field(default_factory=list)
    begin: int = 0
    starts: dict[int, int] = field(default_factory=lambda: {0: 0})
    epoch: int = 0

    @property
    def end(self) -> int:
        return self.begin + len(self.records)


class Broker:
    """One topic of two partitions. mishaps: how often it was made anew, or lost records."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.mishaps = 0
        self.topic_id = "topic-0"
        self.logs = [Log(), Log()]

    @property
    def present(self) -> list[Sent]:
        """What can be read now."""
        return [record.sent for log in self.logs for record in log.records]

    @property
    def disturbances(self) -> tuple[Callable[[], None], ...]:
        """What may happen to it."""
        return self.make_anew, self.expire, self.cut

    def source(self, clock: Callable[[], float], wait: Callable[[float], None], accept_lost: str | None) -> Source:
        """The topic as one process reads it."""
        return KafkaSource(SimulatedTopic(self, wait), None, clock=clock, accept_lost=accept_lost)

    def append(self, records: Sequence[Sent]) -> None:
        for sent in records:
            partition = self._random.randrange(len(self.logs))
            log = self.logs[partition]
            log.records.append(Record(partition, log.end, log.epoch, sent.payload, sent))

    def make_anew(self) -> None:
        """Delete the topic and create one of the same name."""
        self.mishaps += 1
        self.topic_id = f"topic-{self.mishaps}"
        self.logs = [Log(), Log()]

    def expire(self) -> None:
        """Retention removes the oldest records of a partition, read or not."""
        log = self._random.choice(self.logs)
        gone = self._random.randint(0, len(log.records))
        log.records, log.begin = log.records[gone:], log.begin + gone
        self.mishaps += 1

    def cut(self) -> None:
        """An unclean election: the new leader of a partition lacks the newest records."""
        log = self._random.choice(self.logs)
        del log.records[len(log.records) - self._random.randint(0, len(log.records)) :]
        log.epoch += 1
        log.starts = {epoch: start for epoch, start in log.starts.items() if start < log.end} | {log.epoch: log.end}
        self.mishaps += 1


class SimulatedTopic(Topic):
    """What `Topic` is of a real client."""

    def __init__(self, broker: Broker, wait: Callable[[float], None]) -> None:
        self.name = NAME
        self._broker, self._pass = broker, wait
        self._read: dict[int, tuple[int, int]] = {}
        """Partition -> offset and leader epoch."""

    @property
    def cluster_id(self) -> str | None:
        return "cluster"

    @property
    def topic_id(self) -> str | None:
        return self._broker.topic_id

    def partitions(self) -> set[int]:
        return set(range(len(self._broker.logs)))

    def begins(self, partitions: Collection[int]) -> dict[int, int]:
        return {p: self._broker.logs[p].begin for p in partitions}

    def ends(self, partitions: Collection[int]) -> dict[int, int]:
        return {p: self._broker.logs[p].end for p in partitions}

    def highwater(self, partition: int) -> int | None:
        return self._broker.logs[partition].end

    def assign(self, partitions: Collection[int]) -> None:
        self._read = {p: self._read.get(p, (0, -1)) for p in partitions}

    def seek(self, partition: int, offset: int, leader_epoch: int | None) -> None:
        self._read[partition] = offset, -1 if leader_epoch is None else leader_epoch

    def cuts(self, partitions: Iterable[int]) -> dict[int, tuple[int, int] | None]:
        return {p: cut for p in partitions if (cut := self._cut(p)) is not None}

    def position(self, partition: int) -> int | None:
        return self._read[partition][0]

    def poll(self, limit: int, timeout: float) -> list[Record]:
        self._check()
        found = [record for p, (at, _) in self._read.items() for record in self._from(p, at)][:limit]
        for record in found:
            self._read[record.partition] = record.offset + 1, record.leader_epoch
        if not found:
            self._pass(timeout)
        return found

    def heard(self, partitions: Collection[int]) -> float | None:
        return None

    def close(self) -> None:
        """Nothing to give back."""

    def _check(self) -> None:
        """Raises as the client does for places that the log does not have."""
        at = {TopicPartition(NAME, p): offset for p, (offset, _) in self._read.items()}
        cuts = self.cuts(self._read)
        if cuts:
            divergent = {
                TopicPartition(NAME, p): None if cut is None else OffsetAndMetadata(cut[0], "", cut[1])
                for p, cut in cuts.items()
            }
            raise SourceError("cut") from LogTruncationError(divergent)
        outside = {place: offset for place, offset in at.items() if not self._has(place.partition, offset)}
        if outside:
            raise SourceError("out of range") from OffsetOutOfRangeError(outside)

    def _has(self, partition: int, offset: int) -> bool:
        log = self._broker.logs[partition]
        return log.begin <= offset <= log.end

    def _from(self, partition: int, offset: int) -> list[Record]:
        log = self._broker.logs[partition]
        return log.records[offset - log.begin :]

    def _cut(self, partition: int) -> tuple[int, int] | None:
        """Where the epoch of the place ended, if that is before the place; with the newest epoch up to there."""
        offset, epoch = self._read[partition]
        log = self._broker.logs[partition]
        later = [start for each, start in log.starts.items() if each > epoch]
        if epoch < 0 or not later or min(later) >= offset:
            return None
        return min(later), max((each for each in log.starts if each <= epoch), default=-1)
