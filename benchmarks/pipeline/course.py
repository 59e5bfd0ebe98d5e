"""One run: a broker and a daemon as processes, events sent, receipts received."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from time import perf_counter, sleep
from urllib.request import urlopen

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.pipeline.load import name
from benchmarks.pipeline.proofs import Proofs
from ifru.errors import IfruError
from ifru.snapshots import Reader, open_store
from ifru.training import Report
from tests.fixtures.kafka_brokers import NoBrokerError, running_broker

TOPICS = ("events", "receipts", "dead-letters")
_LOOK = 0.01
_TIMEOUT = 300.0
"""Seconds without any answer after which a run is given up."""


@dataclass(frozen=True)
class Asked:
    """events: to send. times: when, in seconds after the first; None: all before the daemon starts.

    settings: NAME=VALUE of the daemon. threads: of the daemon; None leaves it to the libraries.
    """

    events: Sequence[bytes]
    times: Sequence[float] | None
    settings: Sequence[str] = ()
    threads: int | None = None


@dataclass
class Course:
    """What happened. Times are seconds since the first event was sent, or since the daemon was ready for a backlog.

    sent: when each event was. answered: event -> when its receipt came. states: how many receipts said what; those of
    no state are dead letters. late: most seconds that an event was sent behind its time.
    batches: versions that receipts name. stages: name -> how often, seconds in all. cpu: seconds of the daemon's
    processor time since it was ready. peak: its resident bytes.
    versions, files, stored: what was added to the store, in bytes. proofs: what was proven of these versions.
    """

    start: float = 0.0
    ready: float = 0.0
    late: float = 0.0
    sent: list[float] = field(default_factory=list)
    answered: dict[int, float] = field(default_factory=dict)
    states: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    stages: dict[str, tuple[int, float]] = field(default_factory=dict)
    batches: int = 0
    cpu: float = 0.0
    peak: int = 0
    versions: int = 0
    files: int = 0
    stored: int = 0
    proofs: Proofs = field(default_factory=Proofs)

    @property
    def latencies(self) -> list[float]:
        """Seconds from sending to the receipt, in the order of sending."""
        return [self.answered[place] - self.sent[place] for place in sorted(self.answered)]


@contextmanager
def broker(folder: Path, bootstrap: str | None) -> Iterator[str]:
    """HOST:PORT of a broker: the one that is named, else one that is started as for the tests. Raises IfruError."""
    if bootstrap is not None:
        yield bootstrap
        return
    try:
        with running_broker(folder, os.environ) as started:
            yield started.bootstrap
    except NoBrokerError as error:
        raise IfruError(str(error)) from error


def observe(store: Path, folder: Path, bootstrap: str, asked: Asked, report: Report) -> Course:
    """Send events to a daemon that works on a store in a folder, until all are answered.

    Raises IfruError where the daemon ends, or answers nothing for minutes.
    """
    course, before = Course(), _content(store)
    topics = _topics(bootstrap, folder.name)
    with closing(KafkaProducer(bootstrap_servers=bootstrap)) as producer:
        producer.partitions_for(topics[0])
        if asked.times is None:
            report("sending the backlog", None)
            for event in asked.events:
                producer.send(topics[0], event)
            producer.flush()
        with _receiving(bootstrap, topics[1:]) as arrived, _daemon(store, folder, bootstrap, topics, asked) as process:
            begun = perf_counter()
            report("starting the daemon", None)
            _until(lambda: _said(folder, "ready"), process, folder)
            course.start, course.cpu = perf_counter(), _processor_seconds(process)
            course.ready = course.start - begun
            if asked.times is None:
                course.sent = [0.0] * len(asked.events)
            else:
                _send(producer, topics[0], asked.events, asked.times, course, report)
            count, unanswered = len(asked.events), _Unanswered(asked.events)

            def done() -> bool:
                unanswered.take(arrived, course)
                report("answering", 1 - len(unanswered) / count)
                return len(unanswered) == 0

            _until(done, process, folder)
            course.batches = len(unanswered.versions)
            _measure(process, folder, course)
    after = _content(store)
    # One of them is the daemon's claim.
    course.versions = after[0] - before[0] - 1
    reader = Reader(open_store(store.as_uri()))
    course.proofs = Proofs.of([reader.manifest(number) for number in range(before[0] + 1, after[0] + 1)])
    course.files, course.stored = after[1] - before[1], after[2] - before[2]
    return course


class _Unanswered:
    """Events without a receipt or a dead letter. One of two that are alike in a batch gets none of its own."""

    def __init__(self, events: Sequence[bytes]) -> None:
        self._named: dict[str, list[int]] = {}
        self._open = set(range(len(events)))
        self.versions: set[int] = set()
        for place, event in enumerate(events):
            if (known := name(event)) is not None:
                self._named.setdefault(known, []).append(place)

    def __len__(self) -> int:
        return len(self._open)

    def take(self, arrived: deque[tuple[float, bytes]], course: Course) -> None:
        """Note what has come. Only the first receipt of a request says how long it took."""
        while arrived:
            time, value = arrived.popleft()
            course.seconds = time - course.start
            found = json.loads(value)
            state = found.get("state", "dead letter")
            course.states[state] = course.states.get(state, 0) + 1
            if "state" in found:
                self.versions.add(found["version"])
                places = self._named.pop(found["request_id"], [])
                course.answered |= dict.fromkeys(places, course.seconds)
            else:
                places = [found["position"]["offset"]]
            self._open.difference_update(places)


def _topics(bootstrap: str, run: str) -> list[str]:
    topics = [f"{run}-{topic}" for topic in TOPICS]
    with closing(KafkaAdminClient(bootstrap_servers=bootstrap)) as admin:
        admin.create_topics([NewTopic(topic, 1, 1) for topic in topics])
        admin.wait_for_topics(topics)
    return topics


@contextmanager
def _receiving(bootstrap: str, topics: Sequence[str]) -> Iterator[deque[tuple[float, bytes]]]:
    """What arrives in topics, with the time, by a thread of its own."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=None, auto_offset_reset="earliest")
    consumer.assign([TopicPartition(topic, 0) for topic in topics])
    arrived: deque[tuple[float, bytes]] = deque()
    over = Event()

    def receive() -> None:
        while not over.is_set():
            for records in consumer.poll(timeout_ms=100).values():
                now = perf_counter()
                arrived.extend((now, record.value) for record in records)

    thread = Thread(target=receive, daemon=True)
    thread.start()
    try:
        yield arrived
    finally:
        over.set()
        thread.join()
        consumer.close()


@contextmanager
def _daemon(
    store: Path, folder: Path, bootstrap: str, topics: Sequence[str], asked: Asked
) -> Iterator[subprocess.Popen[bytes]]:
    flags = [part for flag, topic in zip(TOPICS, topics, strict=True) for part in (f"--{flag}", _url(bootstrap, topic))]
    flags += ["--store", store.as_uri(), "--admin-port", "0", "--admin-file", str(folder / "admin")]
    # A load erases more in a minute than a brake is there for.
    flags += [part for each in ("brake_share=1", *asked.settings) for part in ("--set", each)]
    threads = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS") if asked.threads else ()
    environment = {**os.environ, **dict.fromkeys(threads, str(asked.threads))}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "ifrud", "run", *flags], stderr=log, env=environment)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _url(bootstrap: str, topic: str) -> str:
    return f"kafka://{bootstrap}/{topic}"


def _send(
    producer: KafkaProducer,
    topic: str,
    events: Sequence[bytes],
    times: Sequence[float],
    course: Course,
    report: Report,
) -> None:
    for event, time in zip(events, times, strict=True):
        ahead = time - (perf_counter() - course.start)
        if ahead > 0:
            sleep(ahead)
        now = perf_counter() - course.start
        course.late = max(course.late, now - time)
        course.sent.append(now)
        producer.send(topic, event)
        report("sending", len(course.sent) / len(events))
    producer.flush()


def _until(done: Callable[[], bool], process: subprocess.Popen[bytes], folder: Path) -> None:
    end = perf_counter() + _TIMEOUT
    while not done():
        if process.poll() is not None or perf_counter() > end:
            ended = f"has not come that far in {_TIMEOUT:.0f} s" if process.poll() is None else "ended"
            raise IfruError(f"the daemon {ended}; it said: {_log(folder)[-1:]}")
        sleep(_LOOK)


def _log(folder: Path) -> list[dict[str, str]]:
    whole = (folder / "log").read_bytes().rpartition(b"\n")[0]
    return [json.loads(line) for line in whole.splitlines() if line.startswith(b"{")]


def _said(folder: Path, start: str) -> bool:
    return any(line["event"].startswith(start) for line in _log(folder))


def _measure(process: subprocess.Popen[bytes], folder: Path, course: Course) -> None:
    """What the daemon's metrics and the kernel say."""
    with urlopen(f"{(folder / 'admin').read_text().strip()}/metrics") as answer:
        text = answer.read().decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    times = {each.labels["stage"]: each.value for each in samples if each.name == "ifrud_stage_seconds_sum"}
    counts = {each.labels["stage"]: int(each.value) for each in samples if each.name == "ifrud_stage_seconds_count"}
    course.stages = {stage: (counts[stage], seconds) for stage, seconds in times.items()}
    course.cpu = _processor_seconds(process) - course.cpu
    status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    course.peak = next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM:"))


def _processor_seconds(process: subprocess.Popen[bytes]) -> float:
    # The name of a process stands in brackets, and may hold anything else.
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _content(store: Path) -> tuple[int, int, int]:
    """Versions, files and bytes."""
    files = [file for file in store.rglob("*") if file.is_file()]
    return len(list((store / "manifests").iterdir())), len(files), sum(file.stat().st_size for file in files)
