"""Requests that are proven one by one: what the model still says of what was erased for them."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Literal
from uuid import uuid4

import numpy as np
import pytest
import torch
from prometheus_client import Gauge

from ifru.evaluation.chosen_pairs import pair_scores
from ifru.interactions import Dataset
from ifru.models import MFConfig
from ifru.objective.parameters import Parameters
from ifru.objective.tilted import ChosenPairs
from ifru.snapshots import Reader, life, open_store, waits_for
from ifru.training import fit, polish
from tests.daemon.test_answered import lines
from tests.daemon.world import CONFIG, World, erase_pairs, erase_user, trained_dataset
from tests.fixtures.dying_store import copied
from tests.fixtures.failing_store import Crash, FailingStore

CLOSED = MFConfig(rank=10, l2=0.3)
"""Of rank enough for a proof that closes."""

ALONE = {"max_requests": 1, "max_backlog": 1}
PROVING = {"prove": True, "refine": True, "purge_receipts_s": 0}


@cache
def _parameters() -> Parameters:
    train = trained_dataset().train
    found = fit(train, CLOSED, seed=0, device=torch.device("cpu"), dtype=torch.float32)
    return Parameters.unstacked(found.theta, train.users)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, config=CLOSED, parameters=_parameters())


def some_of(name: str, user: int, count: int = 4) -> bytes:
    """A request to erase some of the pairs of a user that the model is trained on."""
    data = trained_dataset()
    items = data.train.item[data.train.user == user][:count]
    return erase_pairs(name, [(f"user {user}", str(data.items.name(int(item)))) for item in items])


def proven(world: World) -> dict[object, dict[str, object]]:
    return {said["request_id"]: said for said in world.receipts() if said["state"] == "proven"}


def all_proven(world: World, count: int) -> Callable[[], bool]:
    return lambda: len(proven(world)) == count


def pairs_of(dataset: Dataset, user: int) -> ChosenPairs:
    """Those pairs, by number."""
    rows = np.flatnonzero(dataset.train.user == user)[:4]
    users, items = (torch.from_numpy(side[rows].astype(np.int64)) for side in (dataset.train.user, dataset.train.item))
    return ChosenPairs(users, items, torch.ones(len(rows), dtype=torch.float64))


def test_what_is_said_of_a_request_holds_of_the_exactly_retrained_model(world: World) -> None:
    world.submit(some_of("r3", 3), some_of("r4", 4), erase_user("none", 1000))
    before = world.newest()
    reporter = World.reporter()
    world.idle(all_proven(world, 2), reporter=reporter, **PROVING)
    said, reader = proven(world), Reader(world.store)
    assert said.keys() == {"r3", "r4"}
    for user in (3, 4):
        receipt = said[f"r{user}"]
        version = reader.load(int(str(receipt["version"])))
        pairs = pairs_of(before.dataset, user)
        exact = polish(version.dataset.train, CLOSED, version.parameters.stacked()).parameters
        scores = [pair_scores(CLOSED, tables, pairs) for tables in (before.parameters, version.parameters, exact)]
        change = scores[0] - scores[1]
        weight = change / change.norm()
        bound, left = float(str(receipt["bound"])), float(str(receipt["left_at_most"]))
        assert 0 < abs(float((weight * (scores[1] - scores[2])).sum())) <= bound
        assert bound / float(change.norm()) == pytest.approx(left, rel=1e-4)
        assert left < 0.5
    assert value(reporter.metrics.proven_share) == 1
    assert value(reporter.metrics.worst_left) == max(float(str(each["left_at_most"])) for each in said.values())


def value(gauge: Gauge) -> float:
    return float(gauge.collect()[0].samples[0].value)


def test_a_request_is_proven_once_and_a_new_process_repeats_the_same_to_the_byte(world: World) -> None:
    world.submit(some_of("r3", 3))
    world.idle(all_proven(world, 1), **PROVING)
    first = lines(world, "r3")
    for _ in range(2):
        world.idle(**PROVING)
    assert len(lines(world, "r3")) == len(first) == 2
    assert world.newest().manifest.quality.keys() >= {"rms_bound"}


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_process_that_dies_while_it_tells_what_is_proven_is_followed_by_one_that_tells_it(
    world: World, when: Literal["before", "after"]
) -> None:
    for name, user in (("r3", 3), ("r4", 4)):
        world.submit(some_of(name, user))
        world.drain()
    before, file = world.store, world.folder / "receipts.jsonl"
    told = file.read_bytes()
    for number in (0, 5, 9, 13):
        world.store = copied(before, open_store(f"memory://{uuid4().hex}"))
        file.write_bytes(told)
        with pytest.raises(Crash):
            world.idle(lambda: False, store=FailingStore(world.store, crash=(number, when)), **PROVING)
        world.idle(all_proven(world, 2), **PROVING)
        assert sorted(in_ledgers(world)) == ["r3", "r4"], "told twice"


def in_ledgers(world: World) -> list[str]:
    """Requests that versions say are proven."""
    reader = Reader(world.store)
    found = [line for version in range(1, reader.newest() + 1) for line in reader.receipts(version)]
    return [json.loads(line)["request_id"] for line in found if b'"proven"' in line]


@pytest.mark.parametrize(
    ("config", "settings"), [(CONFIG, {}), (CLOSED, {"prove_requests": False}), (CLOSED, {"prove": False})]
)
def test_nothing_is_said_where_the_rank_is_too_small_or_nobody_wants_it(
    tmp_path: Path, config: MFConfig, settings: dict[str, bool]
) -> None:
    world = World(tmp_path, config=config, parameters=_parameters() if config == CLOSED else None)
    world.submit(some_of("r3", 3))
    known = settings.get("prove", True)
    world.idle(lambda: not known or "rms_bound" in world.newest().manifest.quality, **{**PROVING, **settings})
    assert not proven(world)


def test_an_erasure_without_training_rows_needs_no_proof(world: World) -> None:
    world.submit(erase_user("none", 1000))
    reporter = World.reporter()
    world.idle(lambda: "rms_bound" in world.newest().manifest.quality, reporter=reporter, **PROVING)
    assert not proven(world)
    assert value(reporter.metrics.proven_share) != value(reporter.metrics.proven_share), "there are none to share"


def test_a_proven_request_still_waits_for_what_it_waited_for(world: World) -> None:
    world.submit(some_of("r3", 3))
    world.idle(all_proven(world, 1), **PROVING)
    answers = life(world.store, "r3")
    assert [answer.state for answer in answers] == ["published", "proven"]
    assert answers[-1].left_at_most == proven(world)["r3"]["left_at_most"]
    assert (waits_for(answers, base=1, purged=0) or "").startswith("a full version")
