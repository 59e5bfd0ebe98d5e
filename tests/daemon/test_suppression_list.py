"""What versions say of who was erased, so that nobody comes back with data from elsewhere."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from ifru.snapshots import Reader, WrongHashKey, read_hash_key
from ifru.snapshots.hash_key import HASH_KEY
from ifru.suppression import Suppression
from tests.daemon.world import World, distinct, erase_user, pairs, request, trained_dataset
from tests.fixtures.failing_store import Crash, FailingStore

EACH = {"batch": {"max_requests": 1, "max_backlog": 1}}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def release(name: str, user: int) -> bytes:
    return request(name, type="release", subject=f"user {user}")


def forbidden_users(world: World) -> set[str]:
    """Users of the original data that lose all of their rows by the list."""
    data = trained_dataset()
    before = {user for user, _ in pairs(data)}
    data.delete(Suppression.read(world.store).rows(data))
    return before - {user for user, _ in pairs(data)}


@pytest.mark.parametrize("full_every", [1, 3, 100])
def test_the_list_names_all_who_were_erased_whatever_versions_are_full(world: World, full_every: int) -> None:
    world.submit(*(erase_user(f"r{user}", user) for user in range(4)))
    world.drain(full_every=full_every, **EACH)
    world.drain(full_every=full_every)
    assert forbidden_users(world) == {f"user {user}" for user in range(4)}


def test_who_is_not_known_yet_is_on_the_list_and_what_fails_is_not(world: World) -> None:
    world.submit(erase_user("r1", 1000), b"{")
    world.drain()
    assert len(Suppression.read(world.store).whole) == 1


def test_a_release_takes_off_the_list_erases_nothing_and_is_answered_once(world: World) -> None:
    world.submit(erase_user("r1", 1), erase_user("r2", 2), release("back", 1))
    world.drain(**EACH)
    left = pairs(world.newest().dataset)
    assert forbidden_users(world) == {"user 2"}
    world.submit(release("back", 1))
    world.drain(full_every=1)
    assert forbidden_users(world) == {"user 2"}
    assert pairs(world.newest().dataset) == left
    states = {receipt["request_id"]: receipt["state"] for receipt in world.receipts()}
    assert states == {"r1": "published", "r2": "published", "back": "published"}
    assert {len(ids) for ids in distinct(world.receipts()).values()} == {1}


def test_who_is_erased_again_after_a_release_is_on_the_list(world: World) -> None:
    world.submit(erase_user("r1", 1), release("back", 1), erase_user("again", 1))
    world.drain()
    assert forbidden_users(world) == {"user 1"}


def test_a_crash_at_any_write_loses_nobody_from_the_list_and_no_release(tmp_path: Path) -> None:
    for crash in itertools.count():
        folder = tmp_path / str(crash)
        folder.mkdir()
        world = World(folder)
        world.submit(erase_user("r1", 1), erase_user("r2", 2), release("back", 1))
        store = FailingStore(world.store, crash=(crash, "after" if crash % 2 else "before"))
        changes = {"full_every": 3, "batch": {"max_requests": 2, "max_backlog": 2}}
        survived = False
        try:
            world.drain(store=store, **changes)
            survived = True
        except Crash:
            world.drain(**changes)
        assert forbidden_users(world) == {"user 2"}
        assert len(Suppression.read(world.store).whole) == 1
        if survived:
            return


def test_the_key_may_lie_outside_of_the_store_and_must_be_the_right_one(world: World, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(read_hash_key(world.store).hex() + "\n")
    world.store.delete(HASH_KEY)
    with pytest.raises(WrongHashKey, match="hash_key_file"):
        world.service()
    with pytest.raises(WrongHashKey, match="give that key"):
        world.service(hash_key=bytes(32).hex())
    world.submit(erase_user("r1", 1))
    world.drain(hash_key_file=file)
    assert HASH_KEY not in world.store.list("")
    assert "user 1" not in {user for user, _ in pairs(world.newest().dataset)}
    reader = Reader(world.store)
    assert len(reader.suppressed(reader.manifest(reader.newest()))) == 1


def test_what_was_approved_is_on_the_list_and_what_is_held_is_not(world: World) -> None:
    world.submit(erase_user("r1", 1), erase_user("r2", 2))
    world.drain(brake_share=0)
    assert forbidden_users(world) == set()
    world.submit(request("yes", type="approve", request={"id": "r1", "source": ""}))
    world.drain(brake_share=0)
    assert forbidden_users(world) == {"user 1"}


def test_rows_of_before_a_time_are_on_the_list_and_later_ones_are_not(tmp_path: Path) -> None:
    world = World(tmp_path, timed=True)
    data = world.newest().dataset
    row = data.users.row("user 4")
    assert row is not None
    times = np.concatenate(
        [table.time[table.user == row] for table in (data.train, data.holdout) if table.time is not None]
    )
    middle = int(np.median(times))
    before = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=middle)).isoformat()
    world.submit(request("old", type="erase_before", subject="user 4", before=before))
    world.drain(full_every=1)
    world.drain()
    found = Suppression.read(world.store).rows(data)
    for table, rows in ((data.train, found.train), (data.holdout, found.holdout)):
        assert table.time is not None
        assert rows.tolist() == np.flatnonzero((table.user == row) & (table.time < middle)).tolist()
    assert len(found) == int((times < middle).sum()) > 0
