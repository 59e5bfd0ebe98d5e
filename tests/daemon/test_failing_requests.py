"""Requests that the engine fails on: they are found, told, and stop nobody else's."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ifru.snapshots import Reader
from tests.daemon.world import World, distinct, erase_pairs, erase_user, pairs, request, unbearable
from tests.fixtures.failing_store import Crash, FailingStore

WEIGHTS, BAD = unbearable(0)
_folders = itertools.count()


def world_in(folder: Path) -> World:
    """A world in a new folder, in which to erase BAD leaves a block that has no minimum."""
    inner = folder / str(next(_folders))
    inner.mkdir()
    return World(inner, weights=WEIGHTS)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return world_in(tmp_path)


def states(world: World) -> dict[object, object]:
    return {receipt["request_id"]: receipt["state"] for receipt in world.receipts()}


def test_a_request_that_the_engine_fails_on_is_told_and_the_others_of_its_batch_are_carried_out(world: World) -> None:
    reporter = world.reporter()
    before = pairs(world.newest().dataset)
    world.submit(erase_user("r1", 9), erase_pairs("bad", BAD), erase_user("r2", 10))
    world.drain(reporter=reporter)
    assert states(world) == {"r1": "published", "bad": "failed", "r2": "published"}
    after = pairs(world.newest().dataset)
    assert after == Counter({pair: n for pair, n in before.items() if pair[0] not in ("user 9", "user 10")})
    (letter,) = world.dead_letters()
    assert letter["field"] == "engine"
    assert str(letter["reason"]).startswith("engine: the engine found no update for this deletion: 1 of ")
    assert letter["payload"] == erase_pairs("bad", BAD).decode()
    status = reporter.board.status
    assert (status.requests, status.dead_letters, status.in_hand) == (3, 1, 0)
    counted = reporter.metrics.requests.labels("failed").collect()[0].samples[0].value
    assert counted == 1


def test_what_failed_was_read_and_is_not_tried_again_by_the_next_start(world: World) -> None:
    world.submit(erase_pairs("bad", BAD))
    world.drain()
    answered = world.done()
    world.drain()
    assert (len(world.dead_letters()), world.done()) == (1, answered)
    assert {len(ids) for ids in distinct(world.receipts()).values()} == {1}


def test_what_failed_is_tried_again_when_it_is_sent_again(world: World) -> None:
    world.submit(erase_pairs("bad", BAD))
    world.drain()
    world.submit(erase_user("whole", 0), erase_pairs("bad", BAD))
    world.drain(batch={"max_requests": 1, "max_backlog": 1})
    assert states(world) == {"whole": "published", "bad": "nothing_to_erase"}


def test_another_request_under_the_id_of_one_that_failed_is_refused(world: World) -> None:
    world.submit(erase_pairs("bad", BAD))
    world.drain()
    world.submit(erase_user("bad", 9))
    world.drain()
    assert [letter["field"] for letter in world.dead_letters()] == ["engine", "id"]
    assert states(world) == {"bad": "failed"}


@given(
    st.permutations(["r0", "r1", "r2", "r3", "bad 0", "bad 1", "no request", "r0"]),
    st.integers(1, 8),
    st.integers(1, 4),
)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_wherever_they_stand_every_request_is_answered_once(
    tmp_path: Path, order: list[str], at_once: int, full_every: int
) -> None:
    world = world_in(tmp_path)
    before = pairs(world.newest().dataset)
    payloads = {f"r{n}": erase_user(f"r{n}", 9 + n) for n in range(4)}
    payloads |= {name: erase_pairs(name, BAD) for name in ("bad 0", "bad 1")} | {"no request": request("r", type="?")}
    world.submit(*(payloads[name] for name in order))
    world.drain(batch={"max_requests": at_once, "max_backlog": at_once}, full_every=full_every)
    assert states(world) == {f"r{n}": "published" for n in range(4)} | {"bad 0": "failed", "bad 1": "failed"}
    assert {len(ids) for ids in distinct(world.receipts()).values()} == {1}
    assert Counter(letter["field"] for letter in world.dead_letters()) == {"engine": 2, "type": 1}
    gone = {f"user {9 + n}" for n in range(4)}
    assert pairs(world.newest().dataset) == Counter({pair: n for pair, n in before.items() if pair[0] not in gone})
    reader = Reader(world.store)
    kept = [line for number in range(1, reader.newest() + 1) for line in reader.receipts(number)]
    assert {line.decode() for line in kept} == set((world.folder / "receipts.jsonl").read_text().splitlines())


def test_a_crash_at_any_write_leaves_every_request_answered_once(tmp_path: Path) -> None:
    for crash in itertools.count():
        world = world_in(tmp_path)
        before = pairs(world.newest().dataset)
        world.submit(erase_user("r0", 9), erase_pairs("bad", BAD), erase_user("r1", 10), erase_user("r2", 11))
        store = FailingStore(world.store, crash=(crash, "before" if crash % 2 else "after"))
        survived = False
        try:
            world.drain(store=store, full_every=3)
            survived = True
        except Crash:
            world.drain(full_every=3)
        assert states(world) == {"r0": "published", "bad": "failed", "r1": "published", "r2": "published"}
        assert {len(ids) for ids in distinct(world.receipts()).values()} == {1}
        assert {letter["field"] for letter in world.dead_letters()} == {"engine"}
        gone = {f"user {9 + n}" for n in range(3)}
        assert pairs(world.newest().dataset) == Counter({pair: n for pair, n in before.items() if pair[0] not in gone})
        hashes = [hashed for manifest in world.manifests() for hashed in manifest.hashes]
        assert len(hashes) == len(set(hashes)) == 4
        if survived:
            assert crash > 8, "the batch was not published in parts"
            return
