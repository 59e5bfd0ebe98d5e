"""A world: what happens in it, step by step, and who does it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from threading import current_thread

from ifru.snapshots import (
    CommitLost,
    CommitUnknown,
    ForkedHistory,
    NoVersion,
    Reader,
    Retention,
    Store,
    StoreError,
    Version,
    collect,
)
from ifru.snapshots.errors import OutdatedCandidate
from ifrud.observe.report import Reporter
from ifrud.pipeline import Streams
from ifrud.process import assemble
from ifrud.prover import Prover
from ifrud.service import Service
from ifrud.settings import Settings
from ifrud.streams.outboxes import OutboxError
from ifrud.streams.sources import SourceError
from tests.daemon.world import TIME, pairs, start
from tests.daemon.world import World as Small
from tests.simulation.broker import Broker
from tests.simulation.bucket import NO_TROUBLE, Access, Bucket, Crash, Trouble
from tests.simulation.chance import Chance
from tests.simulation.corrections import labels, times
from tests.simulation.events_file import EventsFile
from tests.simulation.held import SHARES, to_decide
from tests.simulation.outbox import Arrivals
from tests.simulation.requests import Sender, Sent
from tests.simulation.retraining import leave_candidate
from tests.simulation.rotation import KEY_BYTES, rotate

MAY_END_IT = (CommitLost, CommitUnknown, StoreError, OutboxError, SourceError)
"""Errors that may end a process in a world. Any other is a bug."""

STEPS = 10
IDLE_POLLS = 8
HEALING = 12
"""Processes without trouble that it may take, at most, until everything is answered."""

_ACCEPT = re.compile(r"--accept-lost[= ]([0-9a-z-]+)")


@dataclass
class Era:
    """The time between two restores of a backup. receipts: what arrived in it. letters likewise."""

    receipts: list[bytes] = field(default_factory=list)


class World:
    """Everything around the daemon. seed: all that happens follows from it. folder: an empty one."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.random, self.chance = Random(seed), Chance(seed)
        self.bucket = Bucket()
        self.store: Store = self._clean()
        start(self.store, timed=True, attempt="start")
        self.reader = Reader(self.store)
        first = self.reader.load().dataset
        self.initial, self.labels = pairs(first), labels(first)
        self.sender = Sender(self.random, frozenset(self.initial), times(first))
        self.sent: dict[int, Sent] = {}
        self.stream = Broker(self.random) if self.random.random() < 0.5 else EventsFile(folder)
        self.eras: list[Era] = [Era()]
        self.letters: list[bytes] = []
        self.log: list[str] = []
        self.seconds = 0.0
        self._brake_share = self.random.choice(SHARES)
        self._healing = False
        self.committed_while_fenced: list[str] = []
        self.candidates = self._lives = self._taken_over = 0
        # Name -> in which era it was left.
        self.left: dict[str, int] = {}
        self._accept: str | None = None
        self._held: Version | None = None
        self._held_era = 0
        self._backup: dict[str, bytes] | None = None

    def play(self) -> None:
        """All steps, then processes without trouble until one has nothing left to do."""
        steps: dict[Callable[[], None], int] = {
            self.send: 6,
            self.live: 8,
            self.collect: 1,
            self.decide: 3,
            self.follow: 2,
            self.retrain: 1,
            self.rekey: 1,
            **dict.fromkeys(self.stream.disturbances, 1),
            self.back_up: 1,
            self.restore: 1,
            self.restore_behind_a_reader: 1,
        }
        self.send()
        for step in self.random.choices(list(steps), list(steps.values()), k=STEPS):
            self.log.append(f"{step.__name__}: {len(self.stream.present)} records are there")
            step()
        self.heal()

    def send(self) -> None:
        """Some records are sent."""
        records = [self.sender.next() for _ in range(self.random.randint(1, 6))]
        self.sent |= {record.number: record for record in records}
        self.stream.append(records)

    def decide(self) -> None:
        """Somebody approves or rejects what they were told is held."""
        named = to_decide(self.random, self.eras[-1].receipts)
        records = [self.sender.decision(each, approves=self.random.random() < 0.6) for each in named]
        self.sent |= {record.number: record for record in records}
        self.stream.append(records)

    def live(self) -> None:
        """One process, in trouble."""
        rates = [self.random.choice((0.0, 0.0, 0.02, 0.1)) for _ in range(5)]
        self._process(Trouble(*rates[:4], crash=rates[4] / 3), self.random.randint(1, 40))

    def heal(self) -> None:
        """Processes without trouble, until one ends well. Creations that were on their way arrive before."""
        self._healing = True
        self.bucket.deliver()
        for _ in range(HEALING):
            if self._process(NO_TROUBLE, None) is None:
                break
        else:
            raise AssertionError(f"{HEALING} processes without trouble did not come to an end")
        collect(self.store, Retention(timedelta(0)), self._utc)
        ended = self._process(NO_TROUBLE, IDLE_POLLS, refine=False, purge_receipts_s=0, collect={})
        assert ended is None, ended
        self.follow()

    def follow(self) -> None:
        """A reader that holds a version goes on to the newest one, which is the same as reading it anew."""
        newest = self.reader.load()
        if self._held is not None:
            try:
                found = self.reader.advance(self._held)
            except ForkedHistory:
                assert self._held_era < len(self.eras) - 1, "there was one history, and a follower saw two"
            except NoVersion:
                pass
            else:
                assert found.manifest == newest.manifest
                assert pairs(found.dataset) == pairs(newest.dataset)
                for name, table in newest.parameters.tables.items():
                    assert found.parameters.tables[name].equal(table), name
        self._held, self._held_era = newest, len(self.eras) - 1

    def collect(self, all_at_once: bool = False) -> None:
        """Somebody collects old versions, in trouble."""
        before, after, crash = (self.random.choice((0.0, 0.0, 0.02, 0.1)) for _ in range(3))
        access = Access(self.bucket, Trouble(before, after, crash=crash / 2), self.chance, lambda what: None)
        retention = Retention(timedelta(seconds=self.random.choice((0, 0, 5))), self.random.choice((1, 1, 3)))
        retention = Retention(timedelta(0)) if all_at_once else retention
        try:
            collect(access, retention, self._utc)
        except (Crash, StoreError) as error:
            self.log.append(f"  the collection ended: {type(error).__name__} {error}")

    def retrain(self) -> None:
        """Somebody leaves a model that was trained on the data from before the first request."""
        self.candidates += 1
        with suppress(OutdatedCandidate):
            self.left[leave_candidate(self.random, self.store, self.candidates)] = len(self.eras)
        if self.random.random() < 0.5:
            self.collect(all_at_once=True)

    def rekey(self) -> None:
        """Somebody rotates the key of hashes, in trouble, while no process works."""
        access = Access(self.bucket, Trouble(crash=self.random.choice((0, 0, 0.1))), self.chance, lambda what: None)
        try:
            rotate(access, self.random.randbytes(KEY_BYTES), self._utc)
        except Crash as error:
            self.log.append(f"  the rotation ended: {type(error).__name__} {error}")

    def back_up(self) -> None:
        """Somebody copies the bucket."""
        self._backup = dict(self.bucket.objects)

    def restore(self) -> None:
        """The copy takes the place of what the bucket holds."""
        if self._backup is not None:
            self.bucket.objects, self.bucket.late = dict(self._backup), []
            self.eras.append(Era())

    def restore_behind_a_reader(self) -> None:
        """A reader holds a version that a restored backup does not have, and later there is another of its number."""
        self.back_up()
        self.send()
        self.live()
        self.follow()
        self.restore()
        for _ in range(2):
            self.send()
            self.live()
        self.follow()

    def _process(
        self, trouble: Trouble, patience: int | None, rivals: bool = True, **changes: object
    ) -> BaseException | None:
        """What ended a process; None where nothing did. patience: polls until it is told to stop; None: it drains."""
        self._lives += 1
        others = self._taken_over
        name, left, rivalry = f"life {self._lives}", patience, rivals and trouble is not NO_TROUBLE

        def pause(what: str) -> None:
            if rivalry and current_thread().name == "MainThread" and self.chance.of(name, "rival") < 0.01:
                self.log.append(f"  {name} sleeps before: {what}")
                self.bucket.deliver()
                before = self._taken_over
                self._process(self.random.choice((NO_TROUBLE, trouble)), self.random.randint(1, 20), rivals=False)
                access.fenced |= self._taken_over > before and _has_claimed(reporter)

        def stop() -> bool:
            nonlocal left
            left = None if left is None else left - 1
            return left is not None and left <= 0

        access, reporter = Access(self.bucket, trouble, self.chance, pause), Small.reporter()
        try:
            self._service(name, access, trouble, reporter, changes).run(stop, drain=patience is None)
        except NoVersion as error:
            assert self._taken_over > others, "the newest version was collected"
            self.log.append(f"  {name} ended: what it started from was collected by another")
            return error
        except (Crash, *MAY_END_IT) as error:
            self.log.append(f"  {name} ended: {type(error).__name__} {error}")
            self._react(error)
            return error
        finally:
            self._taken_over += _has_claimed(reporter)
            self.committed_while_fenced += access.committed_while_fenced
        self.log.append(f"  {name} ended well")
        self._accept = None
        return None

    def _react(self, error: BaseException) -> None:
        """What the operator does: they accept a loss once they have read what it is."""
        if isinstance(error, SourceError):
            assert self.stream.mishaps or len(self.eras) > 1, f"nothing happened to the stream: {error}"
            found = _ACCEPT.search(str(error))
            assert found, f"no word says how to go on: {error}"
            self._accept = found[1]

    def _service(
        self, name: str, access: Access, trouble: Trouble, reporter: Reporter, changes: Mapping[str, object]
    ) -> Service:
        urls = {stream: f"file:///{stream}.jsonl" for stream in ("events", "receipts", "dead_letters")}
        batch = {"max_requests": self.random.choice((1, 3, 50)), "max_backlog": 50}
        settings = Settings.model_validate(
            urls
            | {
                "store": "memory://",
                "prove": False,
                "brake_share": self._brake_share,
                "batch": batch,
                "refine": self.random.random() < 0.3,
            }
            | {"full_every": self.random.choice((2, 5, 100)), "refine_after_ms": 0}
            | {"full_after_s": self.random.choice((0, 1, 10**6)), "purge_receipts_s": self.random.choice((0, 10**6))}
            | {"collect": {"older_than": self.random.choice((None, "0s", "5s"))}}
            | changes
            | ({"accept_lost": self._accept} if self._accept else {})
        )
        failing = trouble.before
        source = self.stream.source(self._clock, self._wait, self._accept)
        outboxes = [
            Arrivals(f"{name} {kind}", arrived, failing, trouble.crash, self.chance, access)
            for kind, arrived in (("receipts", self.eras[-1].receipts), ("letters", self.letters))
        ]
        attempts = iter(range(10**6))
        return assemble(
            settings,
            access,
            Streams(source, *outboxes),
            reporter,
            Prover(),
            now=lambda: self.seconds,
            utc=self._utc,
            wait=self._pass,
            attempt=lambda: f"{name.replace(' ', '-')}-{next(attempts)}",
        )

    def _utc(self) -> datetime:
        return TIME + timedelta(seconds=self.seconds)

    def _clock(self) -> float:
        return TIME.timestamp() + self.seconds

    def _pass(self, seconds: float) -> None:
        self.seconds += seconds

    def _wait(self, seconds: float) -> None:
        # Seconds that are too few to change a float would never pass.
        self.seconds += max(seconds, 1e-6)
        if not self._healing and self.chance.of("sent while a process reads") < 0.05:
            self.send()

    def _clean(self) -> Access:
        return Access(self.bucket, NO_TROUBLE, Chance(0), lambda what: None)


def _has_claimed(reporter: Reporter) -> bool:
    """Whether a process has taken over the store."""
    return reporter.board.status.state != "starting"
