"""Held requests whose rows others erase meanwhile: the store names nobody any more who was told that all is gone."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from ifru.snapshots import Reader, collect
from ifru.snapshots.audit import audit
from ifru.suppression import Suppression
from tests.daemon.test_adoption import leave
from tests.daemon.test_brake import approve, states
from tests.daemon.test_purged import AT_ONCE, NOW, purged
from tests.daemon.world import Pair, World, erase_pairs, erase_user, pairs, request

ANYTHING = {"brake_share": 1, **NOW}
NOTHING = {"brake_share": 0, **NOW}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def pending(world: World) -> bytes:
    reader = Reader(world.store)
    return b"\n".join(reader.pending(reader.manifest(reader.newest())))


def of_user(world: World, user: int) -> list[Pair]:
    return sorted(pair for pair in pairs(world.newest().dataset) if pair[0] == f"user {user}")


def collected(world: World, *requests: str) -> None:
    """Old versions are collected, and who asked is told."""
    collect(world.store, AT_ONCE, lambda: datetime.now(UTC).replace(year=2100))
    world.idle(lambda: purged(world) >= set(requests), **ANYTHING)
    collect(world.store, AT_ONCE, lambda: datetime.now(UTC).replace(year=2100))


def named(world: World, name: str) -> list[str]:
    return [path for path in world.store.list("") if f'"{name}"'.encode() in world.store.get(path)]


def test_a_held_request_whose_rows_another_one_erases_is_answered_and_kept_no_longer(world: World) -> None:
    world.submit(erase_user("r1", 1), erase_user("r2", 2))
    world.drain(**NOTHING)
    world.submit(erase_user("r3", 1))
    world.drain(**ANYTHING)
    assert states(world) == {"r1": ["held", "nothing_to_erase"], "r2": ["held"], "r3": ["published"]}
    assert (b"user 1" in pending(world), b"user 2" in pending(world)) == (False, True)
    assert len(world.newest().manifest.held) == 1
    collected(world, "r3")
    assert purged(world) == {"r3"}
    assert named(world, "user 1") == []
    # An approval that comes too late finds it answered, and so does the request itself.
    world.submit(approve("yes", "r1"), erase_user("r1", 1))
    world.drain(**ANYTHING)
    assert states(world)["yes"] == ["nothing_to_erase"]
    assert states(world)["r1"] == ["held", "nothing_to_erase"]
    assert audit(world.store).sound


def test_of_a_held_request_only_pairs_stay_that_are_still_there_and_it_is_the_same_request(world: World) -> None:
    first, second = of_user(world, 1), of_user(world, 2)
    before = pairs(world.newest().dataset)
    world.submit(erase_pairs("r1", [*first, *second]))
    world.drain(**NOTHING)
    world.submit(erase_user("r3", 1))
    world.drain(**ANYTHING)
    assert b"user 1" not in pending(world)
    collected(world, "r3")
    assert named(world, "user 1") == []
    assert len(world.newest().manifest.held) == 1
    world.submit(erase_pairs("r1", [*first, *second]))
    world.drain(**ANYTHING)
    assert world.dead_letters() == []
    assert states(world)["r1"] == ["held"]
    world.submit(approve("yes", "r1"))
    world.drain(**ANYTHING)
    assert states(world)["r1"] == ["held", "published"]
    assert pairs(world.newest().dataset) == {
        pair: n for pair, n in before.items() if pair[0] not in ("user 1", "user 2")
    }
    # What it does not name any more may not come back either, whatever is released.
    assert len(Suppression.read(world.store).whole) == 1 + len(first) + len(second)


def test_a_request_that_is_held_from_the_beginning_names_nobody_who_was_erased_before(world: World) -> None:
    first, second = of_user(world, 1), of_user(world, 2)
    world.submit(erase_user("r1", 1))
    world.drain(**ANYTHING)
    world.submit(erase_pairs("r2", [*first, *second]))
    world.drain(**NOTHING)
    assert states(world)["r2"] == ["held"]
    assert (b"user 1" in pending(world), b"user 2" in pending(world)) == (False, True)


def test_an_approval_in_the_batch_that_empties_a_held_request_is_carried_out(world: World) -> None:
    world.submit(erase_user("r1", 1))
    world.drain(**NOTHING)
    world.submit(erase_user("r3", 1), approve("yes", "r1"))
    world.drain(**ANYTHING)
    assert states(world) == {"r1": ["held", "published"], "r3": ["published"], "yes": ["published"]}
    assert world.newest().manifest.held == ()


def test_what_an_adopted_model_has_no_answer_to_stays_held_when_it_is_approved(tmp_path: Path) -> None:
    world = World(tmp_path, timed=True)
    world.submit(request("r1", type="erase_before", subject="user 1", before="2020-01-01T00:00:00Z"))
    world.drain(**NOTHING)
    leave(world)
    world.drain(**ANYTHING)
    assert world.newest().dataset.train.time is None
    world.submit(approve("yes", "r1"))
    world.drain(**ANYTHING)
    assert [letter["field"] for letter in world.dead_letters()] == ["request"]
    assert (states(world), len(world.newest().manifest.held)) == ({"r1": ["held"]}, 1)
