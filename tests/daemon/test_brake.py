"""Requests that would erase much are held until somebody approves them, and nothing else is held up by them."""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ifru.requests import parse_request
from ifru.snapshots import Reader
from ifru.snapshots.audit import audit
from tests.daemon.world import NO_WEIGHTS, Pair, World, distinct, erase_pairs, erase_user, pairs, request, unbearable
from tests.fixtures.failing_store import Crash, FailingStore

SHARE = 0.03
NOON = datetime(2026, 11, 21, 12, 0, 30, 7, tzinfo=UTC)
_folders = itertools.count()
Clock = Callable[[], datetime]


def world_in(folder: Path, weights: Mapping[int, float] = NO_WEIGHTS) -> World:
    inner = folder / str(next(_folders))
    inner.mkdir()
    return World(inner, weights=weights)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return world_in(tmp_path)


def at(minutes: float) -> Clock:
    return lambda: NOON + timedelta(minutes=minutes)


def drain(world: World, **changes: Any) -> None:
    world.drain(**{"brake_share": SHARE, "utc": at(0), **changes})


def popular(world: World) -> str:
    return Counter(item for _, item in pairs(world.newest().dataset)).most_common(1)[0][0]


def erase_item(name: str, item: str, **more: object) -> bytes:
    return request(name, type="erase_item", subject=item, **more)


def approve(name: str, target: str, source: str = "") -> bytes:
    return request(name, type="approve", request={"id": target, "source": source})


def states(world: World) -> dict[object, list[object]]:
    """request id -> states of the receipts that it got, each once, in order."""
    found: dict[object, dict[object, None]] = {}
    for receipt in world.receipts():
        found.setdefault(receipt["request_id"], {})[receipt["state"]] = None
    return {name: list(told) for name, told in found.items()}


def test_the_deadline_of_a_held_request_is_shown_until_it_is_approved(world: World) -> None:
    deadline = NOON + timedelta(days=30)
    gauge = "ifrud_nearest_deadline_timestamp_seconds"
    world.submit(erase_item("big", popular(world), deadline=deadline.isoformat()))
    for _ in ("the process that held it", "the next one"):
        reporter = world.reporter()
        drain(world, reporter=reporter)
        assert reporter.metrics.registry.get_sample_value(gauge) == deadline.timestamp()
    world.submit(approve("yes", "big"))
    drain(world, reporter=reporter)
    assert math.isnan(reporter.metrics.registry.get_sample_value(gauge) or 0.0)


def test_a_request_that_would_erase_the_most_popular_item_is_held_until_it_is_approved(world: World) -> None:
    before, item = pairs(world.newest().dataset), popular(world)
    small = next(pair for pair in sorted(before) if pair[1] != item)
    reporter = world.reporter()
    world.submit(erase_item("big", item), erase_pairs("small", [small]))
    drain(world, reporter=reporter)
    assert states(world) == {"big": ["held"], "small": ["published"]}
    assert pairs(world.newest().dataset) == Counter({pair: n for pair, n in before.items() if pair != small})
    (held,) = world.newest().manifest.held
    assert (held.since, reporter.board.status.held) == (NOON, 1)
    assert reporter.metrics.held.collect()[0].samples[0].value == 1
    assert reporter.metrics.held_since.collect()[0].samples[0].value == NOON.timestamp()

    world.submit(approve("yes", "big"))
    after = world.reporter()
    drain(world, reporter=after)
    assert states(world) == {"big": ["held", "published"], "small": ["published"], "yes": ["published"]}
    assert pairs(world.newest().dataset) == Counter(
        {pair: n for pair, n in before.items() if pair != small and pair[1] != item}
    )
    manifest = world.newest().manifest
    assert (manifest.held, manifest.pending, after.board.status.held) == ((), None, 0)
    assert world.dead_letters() == []
    assert audit(world.store).sound


def test_a_held_request_says_how_much_it_is_about_and_names_nobody(world: World) -> None:
    item = popular(world)
    world.submit(erase_item("big", item))
    drain(world)
    (receipt,) = world.receipts()
    rows = sum(n for pair, n in pairs(world.newest().dataset).items() if pair[1] == item)
    assert str(receipt["reason"]).startswith(
        f"would erase {rows} rows after the 0 of the last hour, which is more than"
    )
    said = json.dumps([receipt, world.newest().manifest.model_dump(mode="json")["held"]])
    assert item not in said
    assert receipt["residual_influence"] is None


def test_a_held_request_that_is_sent_again_gets_its_receipt_again_and_after_the_approval_the_other_one(
    world: World,
) -> None:
    item = popular(world)
    world.submit(erase_item("big", item))
    drain(world)
    world.submit(erase_item("big", item))
    drain(world, utc=at(200))
    assert {name: len(ids) for name, ids in distinct(world.receipts()).items()} == {"big": 1}
    assert len({json.dumps(receipt) for receipt in world.receipts()}) == 1
    world.submit(approve("yes", "big"))
    drain(world)
    world.submit(erase_item("big", item))
    drain(world)
    assert [receipt["state"] for receipt in world.receipts() if receipt["request_id"] == "big"][-1] == "published"
    assert {name: len(ids) for name, ids in distinct(world.receipts()).items()} == {"big": 2, "yes": 1}


def test_a_held_request_that_is_sent_again_with_its_approval_is_only_told_that_it_is_done(world: World) -> None:
    event = erase_item("big", popular(world))
    world.submit(event)
    drain(world)
    world.submit(event, approve("yes", "big"), event)
    drain(world)
    told = [json.loads(line) for line in Reader(world.store).receipts(world.newest().manifest.version)]
    assert {receipt["request_id"]: receipt["state"] for receipt in told} == {"big": "published", "yes": "published"}
    assert len(told) == 2


def test_a_request_is_known_for_as_long_as_it_is_held_though_others_are_forgotten_by_then(world: World) -> None:
    event, later = erase_item("big", popular(world)), 3 * 24 * 60
    world.submit(event)
    drain(world, remember_days=1)
    for name in ("r1", "r2"):
        world.submit(erase_user(name, 1000))
        drain(world, remember_days=1, utc=at(later), full_every=1)
    assert [segment.count for segment in world.newest().manifest.answered] == [1]
    world.submit(event)
    drain(world, remember_days=1, utc=at(later))
    assert distinct(world.receipts())["big"] == {world.receipts()[0]["id"]}
    assert len(world.newest().manifest.held) == 1


def test_another_request_under_the_id_of_a_held_one_is_refused_and_the_approval_is_for_the_first(world: World) -> None:
    item = popular(world)
    world.submit(erase_item("big", item))
    drain(world)
    world.submit(erase_user("big", 3), approve("yes", "big"))
    drain(world)
    assert [letter["field"] for letter in world.dead_letters()] == ["id"]
    found = pairs(world.newest().dataset)
    assert item not in {item for _, item in found}
    assert "user 3" in {user for user, _ in found}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["behind", "ahead"])
def test_an_approval_holds_for_a_request_of_its_own_batch_wherever_it_stands(
    world: World, order: tuple[int, int]
) -> None:
    events = erase_item("big", popular(world)), approve("yes", "big")
    world.submit(*(events[place] for place in order))
    drain(world)
    assert states(world) == {"big": ["published"], "yes": ["published"]}


def test_an_approval_of_what_is_not_known_is_told_and_can_be_sent_again(world: World) -> None:
    world.submit(approve("yes", "big"))
    drain(world)
    assert [(letter["field"], states(world)) for letter in world.dead_letters()] == [("request", {})]
    world.submit(erase_item("big", popular(world)))
    drain(world)
    assert states(world) == {"big": ["held"]}
    world.submit(approve("yes", "big"))
    drain(world)
    assert states(world) == {"big": ["held", "published"], "yes": ["published"]}


def test_a_second_approval_finds_nothing_to_erase_and_erases_nothing(world: World) -> None:
    world.submit(erase_item("big", popular(world)))
    drain(world)
    world.submit(approve("yes", "big"))
    drain(world)
    retained = world.newest().manifest.retained
    world.submit(approve("yes", "big"), approve("again", "big"))
    drain(world)
    assert states(world) == {"big": ["held", "published"], "yes": ["published"], "again": ["nothing_to_erase"]}
    assert world.newest().manifest.retained == retained


def test_an_approval_names_the_source_too(world: World) -> None:
    item = popular(world)
    world.submit(erase_item("big", item, source="crm"))
    drain(world)
    world.submit(approve("wrong", "big"), approve("right", "big", "crm"))
    drain(world)
    assert states(world) == {"big": ["held", "published"], "right": ["published"]}
    assert [letter["field"] for letter in world.dead_letters()] == ["request"]


def test_a_thousand_small_requests_are_held_once_their_sum_is_over_across_batches_and_restarts(world: World) -> None:
    before = pairs(world.newest().dataset)
    total = sum(before.values())
    chosen: list[Pair] = [pair for pair, _ in zip(itertools.cycle(sorted(before)), range(1000), strict=False)]
    for start in range(0, 1000, 250):
        world.submit(
            *(erase_pairs(f"r{number}", [chosen[number]]) for number in range(start, start + 250)),
        )
        drain(world, utc=at(start / 25), batch={"max_requests": 125, "max_backlog": 125})
    told = Counter(state for (state,) in states(world).values())
    assert told["published"] == int(SHARE * total)
    assert told["held"] + told["nothing_to_erase"] == 1000 - told["published"]
    assert sum(pairs(world.newest().dataset).values()) == total - told["published"]
    manifest = world.newest().manifest
    assert len(manifest.held) == told["held"]
    assert sum(each.rows for each in manifest.erased_recently) == told["published"]
    world.submit(*(approve(f"yes {number}", f"r{number}") for number in range(500, 510)))
    drain(world, utc=at(45))
    assert all(states(world)[f"r{number}"] == ["held", "published"] for number in range(500, 510))


def test_after_an_hour_as_much_may_be_erased_again_and_what_is_held_stays_held(world: World) -> None:
    chosen = sorted(pairs(world.newest().dataset))
    limit = int(SHARE * len(chosen))
    first, second, third = (
        erase_pairs("r1", chosen[:limit]),
        erase_pairs("r2", chosen[-1:]),
        erase_pairs("r3", chosen[-2:-1]),
    )
    for minutes, event in ((0, first), (59, second), (61, third)):
        world.submit(event)
        drain(world, utc=at(minutes))
    assert states(world) == {"r1": ["published"], "r2": ["held"], "r3": ["published"]}


def test_what_was_approved_does_not_count_against_others(world: World) -> None:
    item = popular(world)
    world.submit(erase_item("big", item))
    drain(world)
    world.submit(approve("yes", "big"), erase_pairs("r1", sorted(pairs(world.newest().dataset))[:3]))
    drain(world)
    assert states(world)["r1"] == ["published"]
    assert sum(each.rows for each in world.newest().manifest.erased_recently) <= 3


def test_what_finds_nothing_is_never_held(world: World) -> None:
    world.submit(erase_user("r1", 1000), erase_user("r2", 3))
    drain(world, brake_share=0)
    assert states(world) == {"r1": ["nothing_to_erase"], "r2": ["held"]}


def test_a_corrected_label_erases_nothing_and_is_never_held(world: World) -> None:
    pair = min(pairs(world.newest().dataset))
    world.submit(*(request(f"r{label}", type="rectify", interactions=[pair], label=label) for label in (0.0, 1.0)))
    drain(world, brake_share=0)
    assert Counter(state for (state,) in states(world).values()) == {"published": 1, "nothing_to_erase": 1}


def test_a_full_version_and_a_refinement_keep_what_is_held(world: World) -> None:
    world.submit(erase_item("big", popular(world)))
    drain(world)
    held, file = world.newest().manifest.held, world.newest().manifest.pending
    world.submit(erase_pairs("r1", sorted(pairs(world.newest().dataset))[:1]))
    drain(world, full_every=1, refine=True)
    manifest = world.newest().manifest
    assert (manifest.held, manifest.pending, manifest.kind) == (held, file, "full")
    world.submit(approve("yes", "big"))
    drain(world)
    assert states(world)["big"] == ["held", "published"]


def test_a_batch_that_is_published_in_parts_leaves_no_approval_without_what_it_approves(tmp_path: Path) -> None:
    weights, bad = unbearable(0)
    for crash in itertools.count():
        world = world_in(tmp_path, weights)
        item = popular(world)
        world.submit(approve("yes", "big"), erase_item("big", item), erase_pairs("bad", bad), erase_user("r1", 9))
        store = FailingStore(world.store, crash=(crash, "before" if crash % 2 else "after"))
        survived = False
        try:
            drain(world, store=store)
            survived = True
        except Crash:
            drain(world)
        told = states(world)
        # Where the part with the request was published and the one with its approval was not, nothing is left for that.
        assert told.pop("yes") in (["published"], ["nothing_to_erase"])
        assert told == {"big": ["published"], "bad": ["failed"], "r1": ["published"]}
        assert item not in {item for _, item in pairs(world.newest().dataset)}
        assert world.newest().manifest.held == ()
        if survived:
            assert crash > 8, "the batch was not published in parts"
            return


def test_a_released_request_that_the_engine_fails_on_is_kept_in_its_dead_letter(tmp_path: Path) -> None:
    weights, bad = unbearable(0)
    world = world_in(tmp_path, weights)
    event = erase_pairs("bad", bad)
    world.submit(event)
    drain(world, brake_share=0)
    world.submit(approve("yes", "bad"))
    drain(world)
    assert states(world) == {"bad": ["held", "failed"], "yes": ["failed"]}
    letter = world.dead_letters()[0]
    assert letter["field"] == "engine"
    assert parse_request(str(letter["payload"])) == parse_request(event)
    assert world.newest().manifest.held == ()


@pytest.mark.parametrize("released", [False, True], ids=["while it is held", "while it is released"])
def test_a_crash_at_any_write_neither_loses_a_held_request_nor_erases_it_unasked(
    tmp_path: Path, released: bool
) -> None:
    for crash in itertools.count():
        world = world_in(tmp_path)
        before, item = pairs(world.newest().dataset), popular(world)
        small = next(pair for pair in sorted(before) if pair[1] != item)
        world.submit(erase_item("big", item))
        if released:
            drain(world)
        world.submit(erase_pairs("small", [small]), *([approve("yes", "big")] if released else []))
        store = FailingStore(world.store, crash=(crash, "before" if crash % 2 else "after"))
        survived = False
        try:
            drain(world, store=store, full_every=3)
            survived = True
        except Crash:
            drain(world, utc=at(1), full_every=3)
        gone = {pair for pair in before if pair == small or (released and pair[1] == item)}
        assert pairs(world.newest().dataset) == Counter({pair: n for pair, n in before.items() if pair not in gone})
        expected: dict[object, list[object]] = {"small": ["published"], "big": ["held"]}
        if released:
            expected |= {"big": ["held", "published"], "yes": ["published"]}
        assert states(world) == expected
        assert {name: len(ids) for name, ids in distinct(world.receipts()).items()} == {
            name: len(told) for name, told in expected.items()
        }
        newest = world.newest().manifest
        assert (len(newest.held), len(Reader(world.store).pending(newest))) == ((0, 0) if released else (1, 1))
        assert world.dead_letters() == []
        assert audit(world.store).sound
        if survived:
            assert crash > 6, "nothing was held or released"
            return
