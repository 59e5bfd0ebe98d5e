"""A marked user: once a request was published and old versions were collected, no object holds anything of them."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ifru.snapshots import Reader, Retention, Store, collect, newest_purge
from tests.daemon.world import World
from tests.fixtures.dying_store import copied, dying
from tests.fixtures.failing_store import Crash, RecordingStore
from tests.snapshots.cases import another_store
from tests.snapshots.marked import NOW, Marks, forgotten

AT_ONCE = Retention(timedelta(0))


def clock() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def world(tmp_path: Path, store: Store) -> World:
    return World(tmp_path, store=store)


def test_nothing_of_a_user_is_left_and_they_are_told(world: World) -> None:
    marks, follower = Marks(world.store), Reader(world.store)
    held = follower.load()
    assert marks.found(world.store)
    forgotten(world)
    assert marks.found(world.store)
    held = follower.advance(held)
    collect(world.store, AT_ONCE, clock)
    assert marks.found(world.store) == []
    assert follower.advance(held).manifest == world.newest().manifest
    world.idle(lambda: any(said["state"] == "purged" for said in world.receipts()), **NOW)
    told = {said["request_id"] for said in world.receipts() if said["state"] == "purged"}
    assert told == {"r1", "r2", "r3", "r4"}
    assert marks.found(world.store) == []


def test_a_collector_that_is_killed_anywhere_and_repeated_leaves_nothing_either(tmp_path: Path) -> None:
    world = World(tmp_path, store=another_store())
    marks = Marks(world.store)
    held = Reader(world.store).load()
    forgotten(world)
    counting = RecordingStore(copied(world.store, another_store()))
    collect(counting, AT_ONCE, clock)
    for number in range(len(counting.calls)):
        store = copied(world.store, another_store())
        with pytest.raises(Crash):
            collect(dying(store, number), AT_ONCE, clock)
        for step in (number // 2, 0):
            with suppress(Crash):
                collect(dying(store, step), AT_ONCE, clock)
            assert Reader(store).advance(held).manifest.version == Reader(store).newest()
            assert newest_purge(store) is None or marks.found(store) == []
        collect(store, AT_ONCE, clock)
        assert marks.found(store) == []
