"""Every event takes effect exactly once, wherever the process dies and whatever the store answers."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Literal

import pytest

from ifru.errors import IfruError
from ifru.snapshots import Manifest, Reader, Store
from tests.fixtures.failing_store import Crash, FailingStore, Fault
from tests.snapshots.cases import SOURCE, Live, another_store, assert_same, writer

EVENTS = 6
FULL_AT = 3
STARTS = 200
"""Processes after which a run that makes no progress is given up."""

HOSTILE = [
    Fault("put", "model/", "before", 0.1),
    Fault("put", "ledger/", "after", 0.1),
    Fault("put", "HEAD", "before", 0.5),
    Fault("create", "manifests/", "after", 0.25),
    Fault("create", "manifests/", "before", 0.25),
    Fault("create", "manifests/", "repeated", 0.25),
    Fault("create", "manifests/", "conflict", 0.25),
    Fault("get", "manifests/", "before", 0.1),
    Fault("exists", "manifests/", "before", 0.05),
]


def process(store: Store, name: str) -> None:
    """A process that reads the newest version and works from the position in its manifest until all events are done."""
    version = Reader(store).load()
    live, by, manifest = Live.of(version), writer(store, name), version.manifest
    while (event := manifest.positions.get(SOURCE, {}).get(0, 0)) < EVENTS:
        manifest = by.commit(manifest, live.erase(event, event, full=event == FULL_AT))


def started(store: Store) -> Live:
    live = Live.new()
    live.start(writer(store))
    return live


def assert_each_event_took_effect_once(store: Store, live: Live) -> None:
    for event in range(EVENTS):
        live.erase(event, event)
    reader = Reader(store)
    manifests: list[Manifest] = [reader.manifest(version) for version in range(1, reader.newest() + 1)]
    assert [hashed for manifest in manifests for hashed in manifest.hashes] == [f"hash {n}" for n in range(EVENTS)]
    assert_same(reader.load(), live)
    for parent, manifest in pairwise(manifests):
        assert parent.file("ledger").sha256.encode() in store.get(manifest.file("ledger").path)


def writes_without_a_crash() -> int:
    counting = FailingStore(another_store())
    started(counting)
    start = counting.writes
    process(counting, "a")
    return counting.writes - start


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_process_that_dies_at_any_write_is_followed_by_one_with_the_same_effect(
    when: Literal["before", "after"],
) -> None:
    for number in range(writes_without_a_crash()):
        store = another_store()
        live = started(store)
        with pytest.raises(Crash):
            process(FailingStore(store, crash=(number, when)), "first")
        process(store, "second")
        assert_each_event_took_effect_once(store, live)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_start_that_dies_at_any_write_can_be_repeated_or_is_done(when: Literal["before", "after"]) -> None:
    counting = FailingStore(another_store())
    started(counting)
    for number in range(counting.writes):
        store = another_store()
        with pytest.raises(Crash):
            started(FailingStore(store, crash=(number, when)))
        if not store.list("manifests"):
            started(store)
        assert_same(Reader(store).load(), Live.new())


def run_until_done(attempt: Callable[[int], None], seed: int) -> None:
    for number in range(STARTS):
        try:
            attempt(number)
        except IfruError:
            continue
        return
    raise AssertionError(f"seed {seed}: not done after {STARTS} processes")


@pytest.mark.parametrize("seed", range(20))
def test_a_store_that_fails_at_random_changes_nothing_about_the_effect(seed: int) -> None:
    store = another_store()
    live = started(store)
    run_until_done(lambda number: process(FailingStore(store, HOSTILE, seed * STARTS + number), f"p{number}"), seed)
    assert_each_event_took_effect_once(store, live)


@pytest.mark.parametrize("seed", range(10))
def test_two_processes_that_both_believe_to_be_the_only_one_change_nothing_about_the_effect(seed: int) -> None:
    store = another_store()
    live = started(store)

    class Interleaved(FailingStore):
        """Lets a rival commit a single event ahead of some creations of a manifest."""

        def create(self, path: str, data: bytes) -> None:
            if int(path[-6]) % 3 == seed % 3:
                _one_event(store)
            super().create(path, data)

    run_until_done(lambda number: process(Interleaved(store, HOSTILE, seed * STARTS + number), f"p{number}"), seed)
    assert_each_event_took_effect_once(store, live)


def _one_event(store: Store) -> None:
    version = Reader(store).load()
    event = version.manifest.positions.get(SOURCE, {}).get(0, 0)
    if event < EVENTS:
        writer(store, "rival").commit(version.manifest, Live.of(version).erase(event, event))
