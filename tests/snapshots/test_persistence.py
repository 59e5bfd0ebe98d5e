"""A writer that persists outlasts a store that is away in the middle of a commit."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ifru.snapshots import CommitLost, CommitUnknown, Reader, Store, StoreError, Writer
from ifru.snapshots.format import manifest_path
from tests.fixtures.failing_store import FailingStore, Fault, FaultKind
from tests.snapshots.cases import TIME, Live, assert_same, writer

LONG = 40
"""So many failures are more than the writer would take by itself."""


class Persistence:
    """Says `True` so many times, then `False`."""

    def __init__(self, times: int) -> None:
        self.left = times
        self.errors: list[StoreError] = []

    def __call__(self, error: StoreError) -> bool:
        self.errors.append(error)
        self.left -= 1
        return self.left >= 0


def persistent(store: Store, persist: Persistence) -> Writer:
    return Writer(store, lambda: TIME + timedelta(days=1), lambda: "persistent", persist=persist)


@pytest.mark.parametrize(
    "faults",
    [
        [Fault("put", "model/", "before", first=LONG)],
        [Fault("put", "", "before", rate=0.7, first=LONG)],
        [Fault("get", "manifests/", "before", first=LONG)],
        [Fault("create", "manifests/", "before", first=LONG)],
        [Fault("create", "manifests/", "conflict", first=LONG)],
        [Fault("create", "manifests/", "after", first=LONG), Fault("get", "manifests/", "before", first=LONG)],
        [
            Fault("create", "manifests/", "before", first=LONG),
            Fault("get", "manifests/", "before", rate=0.7, first=LONG),
        ],
    ],
    ids=lambda faults: "+".join(f"{fault.operation} {fault.kind}" for fault in faults),
)
def test_a_commit_outlasts_a_store_that_fails_at_any_step(memory: Store, faults: list[Fault]) -> None:
    live, persist = Live.new(), Persistence(10 * LONG)
    first = live.start(writer(memory))
    manifest = persistent(FailingStore(memory, faults), persist).commit(first, live.erase(1))
    assert persist.errors
    assert (manifest.version, Reader(memory).newest()) == (2, 2)
    assert Reader(memory).manifest(2) == manifest
    assert_same(Reader(memory).load(), live)


@pytest.mark.parametrize("kind", ["before", "after"])
def test_who_is_told_to_stop_between_sending_the_manifest_and_knowing_says_unknown(
    memory: Store, kind: FaultKind
) -> None:
    live, persist = Live.new(), Persistence(LONG)
    first = live.start(writer(memory))
    away = FailingStore(memory, [Fault("create", "manifests/", kind), Fault("get", manifest_path(2), "before")])
    with pytest.raises(CommitUnknown):
        persistent(away, persist).commit(first, live.erase(1))
    assert len(persist.errors) == LONG + 1


def test_who_is_told_to_stop_before_that_says_that_nothing_was_committed(memory: Store) -> None:
    live, persist = Live.new(), Persistence(LONG)
    first = live.start(writer(memory))
    with pytest.raises(StoreError, match="put model/"):
        persistent(FailingStore(memory, [Fault("put", "model/", "before")]), persist).commit(first, live.erase(1))
    assert (len(persist.errors), Reader(memory).newest()) == (LONG + 1, 1)


def test_a_race_that_was_lost_while_the_store_was_away_is_not_persisted_in(memory: Store) -> None:
    live, persist = Live.new(), Persistence(10 * LONG)
    first = live.start(writer(memory))
    won = writer(memory).commit(first, live.copy().erase(2))
    away = FailingStore(memory, [Fault("get", manifest_path(2), "before", first=LONG)])
    with pytest.raises(CommitLost, match=won.attempt):
        persistent(away, persist).commit(first, live.erase(1))
    assert len(persist.errors) == LONG


def test_a_hint_that_cannot_be_written_is_not_persisted_in(memory: Store) -> None:
    live, persist = Live.new(), Persistence(LONG)
    first = live.start(writer(memory))
    persistent(FailingStore(memory, [Fault("put", "HEAD", "before")]), persist).commit(first, live.erase(1))
    assert persist.errors == []
