"""What is held may be rejected: it is never carried out, its sender is told, and nothing else is touched."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import pytest

from ifru.snapshots import Reader
from ifru.snapshots.audit import audit
from ifru.suppression import Suppression
from tests.daemon.test_brake import approve, drain, erase_item, popular, states, world_in
from tests.daemon.world import World, distinct, erase_pairs, erase_user, pairs, request, unbearable
from tests.fixtures.failing_store import Crash, FailingStore


@pytest.fixture
def world(tmp_path: Path) -> World:
    return world_in(tmp_path)


def reject(name: str, target: str, source: str = "") -> bytes:
    return request(name, type="reject", request={"id": target, "source": source})


def letters(world: World) -> list[tuple[object, object]]:
    return [(each["field"], each["payload"]) for each in world.dead_letters()]


def test_a_rejected_request_fails_with_a_dead_letter_and_is_held_no_longer(world: World) -> None:
    before = pairs(world.newest().dataset)
    world.submit(erase_item("big", popular(world)))
    drain(world)
    reporter = world.reporter()
    world.submit(reject("no", "big"))
    drain(world, reporter=reporter)
    assert states(world) == {"big": ["held", "failed"], "no": ["published"]}
    assert pairs(world.newest().dataset) == before
    manifest = world.newest().manifest
    assert (manifest.held, manifest.pending, reporter.board.status.held) == ((), None, 0)
    assert reporter.metrics.held.collect()[0].samples[0].value == 0
    [(field, payload)] = letters(world)
    assert field == "rejected"
    assert popular(world) in str(payload)
    assert world.receipts()[-1].get("erased", True) is not (world.receipts()[-1]["request_id"] == "no")
    assert len(Suppression.read(world.store).whole) == 0
    assert audit(world.store).sound


def test_a_rejected_request_that_is_sent_again_is_held_again(world: World) -> None:
    big = erase_item("big", popular(world))
    for rejection in ("no", "no again"):
        world.submit(big)
        drain(world)
        world.submit(reject(rejection, "big"))
        drain(world)
    told = {said["id"]: said["state"] for said in world.receipts() if said["request_id"] == "big"}
    assert list(told.values()) == ["held", "failed"] * 2
    world.submit(big, approve("yes", "big"))
    drain(world)
    assert states(world)["big"] == ["held", "failed", "published"]


def test_a_rejection_in_the_batch_of_its_request_holds_wherever_the_two_stand(world: World) -> None:
    before = pairs(world.newest().dataset)
    world.submit(reject("no", "r1"), erase_user("r1", 3), erase_user("r2", 4), reject("not", "r2"))
    drain(world, brake_share=1)
    assert states(world) == {"r1": ["failed"], "r2": ["failed"], "no": ["published"], "not": ["published"]}
    assert pairs(world.newest().dataset) == before
    assert len(letters(world)) == 2


@pytest.mark.parametrize("first", ["approve", "reject"])
@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one after the other"])
def test_of_two_decisions_the_first_holds_and_the_other_finds_nothing_to_do(
    first: str, together: bool, world: World
) -> None:
    world.submit(erase_item("big", popular(world)))
    drain(world)
    decisions = [approve("yes", "big"), reject("no", "big")]
    for decision in decisions if first == "approve" else decisions[::-1]:
        world.submit(decision)
        if not together:
            drain(world)
    drain(world)
    told = states(world)
    if first == "approve":
        assert told == {"big": ["held", "published"], "yes": ["published"], "no": ["nothing_to_erase"]}
    else:
        assert told == {"big": ["held", "failed"], "no": ["published"], "yes": ["nothing_to_erase"]}


def test_a_rejection_of_what_nobody_knows_is_a_dead_letter_and_one_of_what_is_answered_changes_nothing(
    world: World,
) -> None:
    world.submit(reject("no", "nobody"), erase_user("r1", 3))
    drain(world, brake_share=1)
    world.submit(reject("late", "r1"))
    drain(world)
    assert states(world) == {"r1": ["published"], "late": ["nothing_to_erase"]}
    assert [field for field, _ in letters(world)] == ["request"]


def test_a_rejected_request_is_answered_once_although_others_of_its_batch_erase_what_it_means(tmp_path: Path) -> None:
    weights, chosen = unbearable(0)
    world = world_in(tmp_path, weights)
    held = [pair for pair in sorted(pairs(world.newest().dataset)) if pair[0] == "user 5"]
    world.submit(erase_pairs("big", held))
    drain(world, brake_share=0)
    # The engine fails on one, so the batch is published in parts, and the first part takes all of the held pairs.
    world.submit(reject("no", "big"), erase_user("r1", 5), erase_pairs("bad", chosen), erase_user("r2", 6))
    drain(world, brake_share=1)
    told = states(world)
    assert (told["big"], told["r1"], told["bad"], told["no"]) == (
        ["held", "failed"],
        ["published"],
        ["failed"],
        ["published"],
    )


def test_a_crash_at_any_write_of_a_rejection_changes_nothing(tmp_path: Path) -> None:
    for crash in itertools.count():
        world = world_in(tmp_path)
        before, item = pairs(world.newest().dataset), popular(world)
        world.submit(erase_item("big", item))
        drain(world)
        one = next(pair for pair in sorted(before) if pair[1] != item)
        world.submit(erase_pairs("small", [one]), reject("no", "big"))
        survived = False
        try:
            drain(world, store=FailingStore(world.store, crash=(crash, "after" if crash % 2 else "before")))
            survived = True
        except Crash:
            drain(world)
        assert states(world) == {"big": ["held", "failed"], "small": ["published"], "no": ["published"]}
        assert {len(ids) for name, ids in distinct(world.receipts()).items() if name != "big"} == {1}
        assert pairs(world.newest().dataset) == before - Counter([one])
        assert len(Reader(world.store).pending(world.newest().manifest)) == 0
        assert set(letters(world)) == {letters(world)[0]}
        if survived:
            assert crash > 8
            return
