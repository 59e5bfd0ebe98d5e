"""A backup of the store is restored while a daemon runs, or between two of them: no request is lost."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from ifru.snapshots import ForkedHistory, HistoryReplaced
from ifru.snapshots.format import manifest_path
from ifrud.exits import Exit, exit_for
from ifrud.lookout import INTERVAL, Lookout
from tests.daemon.world import Pair, World, erase_user, pairs

ALONE = {"batch": {"max_requests": 1, "max_backlog": 1}}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def backup_of(world: World) -> dict[str, bytes]:
    return {path: world.store.get(path) for path in world.store.list("")}


def restore(world: World, backup: dict[str, bytes]) -> None:
    for path in world.store.list(""):
        world.store.delete(path)
    for path, data in backup.items():
        world.store.put(path, data)


def test_a_daemon_under_which_the_store_is_set_back_ends_with_5_and_the_next_one_does_everything_again(
    world: World,
) -> None:
    before, backup = pairs(world.newest().dataset), backup_of(world)
    world.submit(*(erase_user(f"r{user}", user) for user in range(3, 7)))

    def stop() -> bool:
        if len(world.done()) == 3:
            restore(world, backup)
        return False

    with pytest.raises(HistoryReplaced, match="restored from a backup") as ended:
        world.service(**ALONE).run(stop, drain=True)
    assert exit_for(ended.value) is Exit.FAILED
    assert world.store.list("manifests") == [manifest_path(1)]
    world.drain(**ALONE)
    gone = [f"user {user}" for user in range(3, 7)]
    left: Counter[Pair] = Counter({pair: n for pair, n in before.items() if pair[0] not in gone})
    assert pairs(world.newest().dataset) == left


def test_an_idle_daemon_notices_that_the_store_was_set_back(world: World) -> None:
    backup, hand = backup_of(world), [0.0]
    world.submit(erase_user("r1", 3))
    world.drain()
    newest, lookout = world.newest().manifest, Lookout(world.store, lambda: hand[0])
    restore(world, backup)
    hand[0] = INTERVAL
    with pytest.raises(HistoryReplaced, match=manifest_path(newest.version)):
        lookout.look(newest)


def test_a_start_on_a_version_whose_parent_is_missing_or_another_one_is_refused(world: World) -> None:
    world.submit(erase_user("r1", 3))
    world.drain(full_every=2)
    newest = world.newest().manifest
    assert (newest.version, newest.kind) == (3, "full")
    parent = world.store.get(manifest_path(2))
    world.store.delete(manifest_path(2))
    with pytest.raises(ForkedHistory, match=f"{manifest_path(3)} follows none"):
        world.service()
    world.store.put(manifest_path(2), parent + b" ")
    with pytest.raises(ForkedHistory, match=f"{manifest_path(3)} was written after another parent"):
        world.service()
