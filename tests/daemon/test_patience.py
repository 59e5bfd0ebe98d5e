"""The daemon outlasts a store or an outbox that is away, and says so."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from ifru.snapshots import CommitLost, CommitUnknown, StoreError
from ifrud.lookout import INTERVAL, Lookout
from ifrud.patience import PAUSE, Patience
from ifrud.streams.outboxes import Outbox, OutboxError, Record, open_outbox
from tests.daemon.world import World, erase_user
from tests.fixtures.failing_store import FailingStore, Fault, RecordingStore

LONG = 40


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


class Waits:
    """Takes the place of sleep; `then` runs after so many waits."""

    def __init__(self, until: int = 10**6, then: Callable[[], None] = lambda: None) -> None:
        self.count = 0
        self._until = until
        self._then = then

    def __call__(self, seconds: float) -> None:
        assert seconds == PAUSE
        self.count += 1
        if self.count == self._until:
            self._then()


class Stop:
    """Stops when it is told to."""

    told = False

    def tell(self) -> None:
        self.told = True

    def __call__(self) -> bool:
        return self.told


class AwayOutbox:
    """Fails so many times, and then sends to another one."""

    def __init__(self, times: float, inner: Outbox) -> None:
        self.left = times
        self._inner = inner

    def send(self, records: Sequence[Record]) -> None:
        self.left -= 1
        if self.left >= 0:
            raise OutboxError("fails on purpose")
        self._inner.send(records)

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    "faults",
    [
        [Fault("put", "ledger/", "before", first=LONG)],
        [
            Fault("create", "manifests/", "after", first=LONG),
            Fault("get", "manifests/000000000003", "before", first=LONG),
        ],
    ],
    ids=["files", "manifest"],
)
def test_a_store_that_goes_away_in_a_commit_is_outlasted(world: World, faults: list[Fault]) -> None:
    waits, reporter = Waits(), world.reporter()
    world.submit(erase_user("r1", 3))
    world.drain(store=FailingStore(world.store, faults), wait=waits, reporter=reporter)
    assert waits.count >= LONG
    assert [(r["request_id"], r["version"]) for r in world.receipts()] == [("r1", 3)]
    assert reporter.board.status.away == {}


@pytest.mark.parametrize("name", ["receipts", "dead_letters"])
def test_an_outbox_that_is_away_is_outlasted(world: World, name: str) -> None:
    waits = Waits()
    world.submit(erase_user("r1", 3), b"{")
    away = AwayOutbox(LONG, open_outbox(getattr(world.settings(), name)))
    world.drain(**{name: away}, wait=waits)
    assert waits.count == LONG
    assert (len(world.receipts()), len(world.dead_letters())) == (1, 1)


@pytest.mark.parametrize(("kind", "error"), [("put", StoreError), ("create", CommitUnknown)])
def test_who_is_told_to_stop_meanwhile_stops_at_once_and_the_next_start_does_what_is_left(
    world: World, kind: str, error: type[Exception]
) -> None:
    stop = Stop()
    waits = Waits(3, stop.tell)
    world.submit(erase_user("r1", 3))
    faults = [Fault("put", "model/000000000003", "before")]
    if kind == "create":
        faults = [Fault("create", "manifests/000000000003", "after"), Fault("get", "manifests/000000000003", "before")]
    with pytest.raises(error):
        world.service(store=FailingStore(world.store, faults), wait=waits).run(stop, drain=False)
    assert waits.count == 3
    world.drain()
    # The version that was not known to be committed is there, or the next claim has its number.
    assert [(r["request_id"], r["version"]) for r in world.receipts()] == [("r1", 3 if kind == "create" else 4)]


def test_receipts_that_could_not_be_sent_are_sent_by_the_next_start(world: World) -> None:
    world.submit(erase_user("r1", 3))
    away = AwayOutbox(math.inf, open_outbox(world.settings().receipts))
    with pytest.raises(OutboxError):
        world.service(receipts=away).run(lambda: world.newest().manifest.version == 3, drain=True)
    assert world.receipts() == []
    world.drain()
    assert [(r["request_id"], r["version"]) for r in world.receipts()] == [("r1", 3)]


def test_a_store_that_fails_before_the_model_is_loaded_ends_the_daemon_at_once(world: World) -> None:
    waits = Waits()
    with pytest.raises(StoreError):
        world.drain(store=FailingStore(world.store, [Fault("get", "hash-key", "before", first=1)]), wait=waits)
    assert waits.count == 0


def test_the_heart_beats_between_attempts() -> None:
    beats: list[str] = []
    patience = Patience(lambda seconds: beats.append("wait"), lambda: beats.append("beat"))
    assert not patience(StoreError("away"))
    patience.last(lambda: len(beats) > 5)
    while patience(StoreError("away")):
        pass
    assert beats == ["beat", "beat", "wait", "beat", "wait", "beat"]


class Hand:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_an_idle_daemon_looks_at_the_store_now_and_then(world: World) -> None:
    store, hand = RecordingStore(world.store), Hand()
    lookout = Lookout(store, hand)
    newest = world.newest().manifest
    for _ in range(100):
        hand.now += INTERVAL / 20
        lookout.look(newest)
    assert len(store.calls) == 5 * 2


def test_an_idle_daemon_finds_that_another_writer_has_taken_over(world: World) -> None:
    idle = world.newest().manifest
    world.submit(erase_user("r1", 3))
    world.drain()
    hand = Hand()
    lookout = Lookout(world.store, hand)
    hand.now = INTERVAL
    with pytest.raises(CommitLost, match=f"version 2 .*attempt {world.manifests()[1].attempt}"):
        lookout.look(idle)
