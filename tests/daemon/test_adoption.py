"""Models that were trained elsewhere become versions; nobody who was erased comes back with them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ifru.interactions import Dataset, Ids
from ifru.models import ModelConfig
from ifru.models.lightgcn import LightGCNConfig
from ifru.objective.parameters import Parameters
from ifru.snapshots import FullState, Manifest, Reader, Residual, candidates
from ifru.suppression import Suppression
from ifru.training import fit
from tests.daemon.world import (
    CONFIG,
    TIME,
    USERS,
    World,
    distinct,
    erase_pairs,
    erase_user,
    pairs,
    request,
    trained_dataset,
    unbearable,
)
from tests.fixtures.failing_store import Crash, FailingStore
from tests.simulation.rotation import KEY_BYTES, rotate

NEW = Residual(
    influence=None, settled=None, total=0.0, batch_energy=0.0, added_energy=0.0, method="training", reason="tolerance"
)
EACH = {"batch": {"max_requests": 1, "max_backlog": 1}}
_names = (f"candidate-{number}" for number in itertools.count())


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def leave(world: World, dataset: Dataset | None = None, config: ModelConfig = CONFIG) -> str:
    """A candidate that was trained on the original data, or others, at what is now the newest version."""
    data = dataset or trained_dataset()
    theta = torch.from_numpy(np.random.default_rng(1).normal(size=(USERS + 30, 4)).astype(np.float32) * 0.1)
    return leave_state(world, FullState(config, Parameters.unstacked(theta, USERS), data))


def leave_state(world: World, state: FullState) -> str:
    reader, name = Reader(world.store), next(_names)
    candidates.leave(world.store, name, reader.manifest(reader.newest()), state, NEW, {}, TIME)
    return name


def adopted(world: World) -> list[Manifest]:
    return [manifest for manifest in world.manifests() if manifest.candidate is not None]


def users(world: World) -> set[str]:
    return {user for user, _ in pairs(world.newest().dataset)}


def test_nobody_who_was_erased_before_or_after_a_candidate_was_left_is_in_the_version_made_from_it(
    world: World,
) -> None:
    everything = pairs(trained_dataset())
    one = sorted(everything)[-1]
    world.submit(erase_user("r1", 3), erase_pairs("r2", [one]), erase_user("unknown", 1000))
    world.drain(**EACH)
    name = leave(world)
    world.submit(erase_user("r3", 4), request("r4", type="erase_item", subject="item 5"))
    world.drain(**EACH)
    (manifest,) = adopted(world)
    assert (manifest.candidate, manifest.kind) == (name, "full")
    gone = {pair for pair in everything if pair[0] in ("user 3", "user 4") or pair[1] == "item 5" or pair == one}
    left = set(pairs(world.newest().dataset))
    assert left == set(everything) - gone
    assert world.store.list("candidates") == []
    assert {len(ids) for ids in distinct(world.receipts()).values()} == {1}
    size = (world.folder / "events.jsonl").stat().st_size
    assert world.newest().manifest.positions == {"events.jsonl": {0: size}}


def test_who_was_released_comes_back_with_a_candidate(world: World) -> None:
    world.submit(erase_user("r1", 3), request("back", type="release", subject="user 3"), erase_user("r2", 4))
    world.drain()
    leave(world)
    world.drain()
    assert "user 3" in users(world)
    assert "user 4" not in users(world)


def test_an_idle_daemon_notices_a_candidate_and_goes_on_from_it(world: World) -> None:
    world.submit(erase_user("r1", 3))
    world.drain()
    leave(world)
    world.idle(until=lambda: bool(adopted(world)), refine=True)
    world.submit(erase_user("r2", 7))
    world.drain()
    assert {"user 3", "user 7"}.isdisjoint(users(world))
    assert len(adopted(world)) == 1


def test_a_candidate_may_have_other_ids_and_be_of_another_model(world: World) -> None:
    world.submit(erase_user("r1", 3))
    world.drain()
    data = trained_dataset()
    names = [f"new {name}" if row > 30 else name for row, name in enumerate(data.users)]
    leave(world, replace(data, users=Ids(names)), LightGCNConfig(rank=4, l2=0.1))
    world.submit(erase_user("r2", 5))
    world.drain()
    newest = world.newest()
    assert newest.manifest.model.name == "lightgcn"
    assert {"user 3", "user 5"}.isdisjoint(users(world))
    assert "new user 35" in users(world)


def damaged(world: World, name: str) -> None:
    [path] = [path for path in world.store.list(f"candidates/{name}") if path.endswith("train.parquet")]
    world.store.put(path, world.store.get(path)[:-1] + b"?")


def incomplete(world: World, name: str) -> None:
    [path] = [path for path in world.store.list(f"candidates/{name}") if path.endswith("users.parquet")]
    world.store.delete(path)


def no_json(world: World, name: str) -> None:
    world.store.put(f"candidates/{name}/candidate.json", b"{")


def unknown_model(world: World, name: str) -> None:
    path = f"candidates/{name}/candidate.json"
    world.store.put(path, world.store.get(path).replace(b'"name": "mf"', b'"name": "nobody-knows"'))


def of_the_future(world: World, name: str) -> None:
    path = f"candidates/{name}/candidate.json"
    world.store.put(path, world.store.get(path).replace(b'"schema_version": 3', b'"schema_version": 4'))


@pytest.mark.parametrize("spoil", [damaged, incomplete, no_json, unknown_model, of_the_future])
def test_a_candidate_that_does_not_fit_is_refused_and_stops_nobody(world: World, spoil: object) -> None:
    name = leave(world)
    assert callable(spoil)
    spoil(world, name)
    world.submit(erase_user("r1", 3))
    world.drain()
    assert adopted(world) == []
    assert users(world) == {f"user {n}" for n in range(USERS) if n != 3}
    assert world.store.list("candidates") == [f"candidates/{name}/rejected.json"]
    world.drain()
    assert adopted(world) == []


def test_a_candidate_whose_numbers_are_not_finite_is_refused(world: World) -> None:
    theta = torch.full((USERS + 30, 4), torch.nan)
    name = leave_state(world, FullState(CONFIG, Parameters.unstacked(theta, USERS), trained_dataset()))
    world.drain()
    assert world.store.list("candidates") == [f"candidates/{name}/rejected.json"]


def test_a_candidate_on_which_the_engine_fails_is_refused_and_the_daemon_goes_on_from_its_own_version(
    world: World,
) -> None:
    weights, chosen = unbearable(0)
    data = trained_dataset()
    data.train.weight = data.train.weight.copy()
    data.train.weight[list(weights)] = list(weights.values())
    world.submit(erase_pairs("r1", chosen))
    world.drain()
    left = pairs(world.newest().dataset)
    name = leave(world, data)
    world.submit(erase_user("r2", 9))
    world.drain()
    assert adopted(world) == []
    assert world.store.list("candidates") == [f"candidates/{name}/rejected.json"]
    assert set(pairs(world.newest().dataset)) == {pair for pair in left if pair[0] != "user 9"}


def test_a_candidate_of_which_nothing_is_left_is_refused(world: World) -> None:
    world.submit(*(erase_user(f"r{user}", user) for user in range(USERS - 1)))
    world.drain()
    data = trained_dataset()
    for row in np.flatnonzero(data.train.user == USERS - 1):
        data.train.delete(np.array([row]))
    leave(world, data)
    world.drain()
    assert adopted(world) == []


def test_candidates_are_adopted_in_the_order_in_which_they_were_left(world: World) -> None:
    names = [leave(world), leave(world)]
    world.drain()
    world.drain()
    assert [manifest.candidate for manifest in adopted(world)] == names


def crashes(world: World) -> Iterator[FailingStore]:
    for number in itertools.count():
        yield FailingStore(world.store, crash=(number, "after" if number % 2 else "before"))


def test_a_daemon_that_is_killed_at_every_write_adopts_a_candidate_once_and_brings_nobody_back(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.submit(erase_user("r0", 0))
    world.drain()
    name = leave(world)
    world.submit(*(erase_user(f"r{user}", user) for user in range(1, 4)))
    for store in crashes(world):
        try:
            world.drain(store=store, **EACH)
            break
        except Crash:
            assert {"user 0"}.isdisjoint(users(world))
    assert [manifest.candidate for manifest in adopted(world)] == [name]
    assert world.store.list("candidates") == []
    assert {f"user {user}" for user in range(4)}.isdisjoint(users(world))
    assert {len(ids) for ids in distinct(world.receipts()).values()} == {1}


def dying(
    tmp_path: Path, prepare: Callable[[World], str], meanwhile: Callable[[World], None] = lambda world: None
) -> Iterator[tuple[World, str]]:
    """Worlds, with what prepared them, in which a daemon died at each of its writes and another one went on; at the
    end the one in which it did not die. meanwhile: what happens between the two."""
    for crash in itertools.count():
        folder = tmp_path / str(crash)
        folder.mkdir()
        world = World(folder)
        name = prepare(world)
        store = FailingStore(world.store, crash=(crash, "after" if crash % 2 else "before"))
        try:
            world.drain(store=store)
        except Crash:
            meanwhile(world)
            world.drain()
            yield world, name
        else:
            yield world, name
            return


def test_a_crash_at_any_write_of_an_adoption_leaves_nothing_half_done(tmp_path: Path) -> None:
    def prepare(world: World) -> str:
        world.submit(erase_user("r0", 0))
        return leave(world)

    worlds = 0
    for world, name in dying(tmp_path, prepare):
        assert [manifest.candidate for manifest in adopted(world)] == [name]
        assert world.store.list("candidates") == []
        assert "user 0" not in users(world)
        rows = Suppression.read(world.store).rows(world.newest().dataset)
        assert len(rows) == 0
        worlds += 1
    assert worlds - 1 > 8, "the last one did not die"


def test_a_candidate_is_adopted_once_though_the_daemon_dies_and_a_command_writes_the_next_version(
    tmp_path: Path,
) -> None:
    def rekey(world: World) -> None:
        rotate(world.store, bytes(KEY_BYTES), lambda: TIME)

    for world, name in dying(tmp_path, leave, rekey):
        assert [manifest.candidate for manifest in adopted(world)] == [name]
        assert world.store.list("candidates") == []


def test_who_refuses_a_candidate_while_another_adopts_it_takes_that_back(world: World) -> None:
    name = leave(world)
    world.drain()
    assert len(adopted(world)) == 1
    candidates.reject(world.store, name, "its files are missing", TIME)
    assert world.store.list("candidates") == []


def test_a_daemon_that_reads_a_candidate_while_another_removes_it_passes_over_it(world: World) -> None:
    leave(world)
    descriptor = candidates.describe(world.store, candidates.waiting(world.store)[0])
    assert descriptor is not None
    for crash in itertools.count():
        store = FailingStore(world.store, crash=(crash, "after"))
        with suppress(Crash):
            candidates.forget(store, descriptor.attempt)
        found = candidates.read(world.store, descriptor)
        assert (found is None) == (crash > 0), "all of its files are there while only the descriptor is gone"
        if world.store.list("candidates") == []:
            return


def test_a_refused_candidate_is_gone_wherever_the_daemon_dies(tmp_path: Path) -> None:
    def prepare(world: World) -> str:
        name = leave(world)
        damaged(world, name)
        return name

    for world, name in dying(tmp_path, prepare):
        assert adopted(world) == []
        assert world.store.list("candidates") == [f"candidates/{name}/rejected.json"]


def test_leaving_a_candidate_can_die_at_any_write_and_is_seen_whole_or_not_at_all(world: World) -> None:
    for crash in itertools.count():
        store = FailingStore(world.store, crash=(crash, "before"))
        inner, world.store = world.store, store
        try:
            leave(world)
        except Crash:
            assert candidates.waiting(inner) == []
        else:
            assert len(candidates.waiting(inner)) == 1
            return
        finally:
            world.store = inner


def test_who_was_erased_leaves_a_candidate_by_an_update_down_to_the_tolerance(world: World) -> None:
    world.submit(erase_user("r1", 3))
    world.drain()
    data = trained_dataset()
    trained = fit(data.train, CONFIG, seed=3, device=torch.device("cpu"), dtype=torch.float32)
    leave_state(world, FullState(CONFIG, Parameters.unstacked(trained.theta, USERS), data))
    world.drain()
    (manifest,) = adopted(world)
    assert manifest.residual.influence is not None
    assert manifest.residual.influence <= 0.01
    row = world.newest().parameters.user[3]
    assert row.tolist() == [0.0] * CONFIG.rank
