"""`ifru retrain`, `ifru adopt` and `ifru train --suppressed`: new base versions without anybody who was erased."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ifru.cli import main
from ifru.cli.next_version import next_version
from ifru.errors import IfruError
from ifru.interactions import Dataset
from ifru.snapshots import FullState, Reader, Store, open_store
from ifru.snapshots.hash_key import HASH_KEY
from ifru.suppression import Suppression
from tests.daemon.world import World, erase_pairs, erase_user, pairs, request, trained_dataset

_numbers = itertools.count()
Run = Callable[..., Any]


@pytest.fixture
def url() -> str:
    return f"memory://next-{next(_numbers)}"


@pytest.fixture
def world(tmp_path: Path, url: str) -> World:
    return World(tmp_path, store=open_store(url))


@pytest.fixture
def ifru(capfd: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: object, code: int = 0) -> Any:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([*map(str, arguments), *(() if code else ("--json",))])
        out, err = capfd.readouterr()
        assert ended.value.code == code, err
        return err if code else json.loads(out)

    return run


@pytest.fixture
def original(tmp_path: Path) -> Path:
    """The file that the model was first trained on."""
    return written(trained_dataset(), tmp_path / "original.csv")


def written(dataset: Dataset, path: Path) -> Path:
    lines = ["user,item,liked"]
    for table in (dataset.train, dataset.holdout):
        for row in np.flatnonzero(table.alive & table.recorded):
            user, item = dataset.users.name(int(table.user[row])), dataset.items.name(int(table.item[row]))
            lines.append(f"{user},{item},{table.label[row]:g}")
    path.write_text("\n".join(lines) + "\n")
    return path


def erased_some(world: World) -> None:
    one = sorted(pairs(trained_dataset()))[-1]
    world.submit(
        erase_user("r1", 3),
        erase_pairs("r2", [one]),
        request("r3", type="erase_item", subject="item 5"),
        erase_user("r4", 99),
    )
    world.drain()


def names(store: Store) -> tuple[set[str], set[str]]:
    data = pairs(Reader(store).load().dataset)
    return {user for user, _ in data}, {item for _, item in data}


def test_a_file_that_still_has_who_was_erased_is_trained_on_without_them(
    world: World, url: str, original: Path, ifru: Run
) -> None:
    erased_some(world)
    gone = set(pairs(trained_dataset())) - set(pairs(world.newest().dataset))
    options = ("--label", "liked", "--l2", 0.1, "--rank", 4)
    done = ifru("train", original, "--out", f"{url}-new", "--suppressed", url, *options)
    assert done["left_out"] == len(gone)
    assert set(pairs(Reader(open_store(f"{url}-new")).load().dataset)) == set(pairs(world.newest().dataset))


def test_retrain_publishes_a_full_version_of_the_same_rows_in_the_same_line(world: World, url: str, ifru: Run) -> None:
    erased_some(world)
    before = world.newest()
    done = ifru("retrain", url)
    after = world.newest()
    assert done["version"] == after.manifest.version == before.manifest.version + 1
    assert (after.manifest.kind, after.manifest.model) == ("full", before.manifest.model)
    assert pairs(after.dataset) == pairs(before.dataset)
    assert after.manifest.sources == before.manifest.sources
    assert "user 3" not in set(after.dataset.users)
    world.submit(erase_user("r1", 3), erase_user("r5", 6))
    world.drain()
    states = {receipt["request_id"]: (receipt["state"], receipt["version"]) for receipt in world.receipts()}
    assert states["r1"] == ("published", before.manifest.version)
    assert states["r5"][0] == "published"


def test_new_rows_are_trained_on_without_who_was_erased_and_without_pairs_that_are_there(
    world: World, url: str, original: Path, ifru: Run
) -> None:
    erased_some(world)
    left = pairs(world.newest().dataset)
    original.write_text(original.read_text() + "newcomer,item 7,1\nnewcomer,item 5,1\nuser 99,item 7,1\n")
    done = ifru("retrain", url, "--data", original, "--label", "liked")
    after = pairs(world.newest().dataset)
    assert after == left + type(left)({("newcomer", "item 7"): 1})
    assert done["left_out"]["known"] == sum(left.values())
    world.submit(request("r9", type="erase_user", subject="newcomer"))
    world.drain()
    assert pairs(world.newest().dataset) == left


def test_a_model_that_was_trained_on_the_original_file_is_adopted_without_who_was_erased(
    world: World, url: str, original: Path, ifru: Run
) -> None:
    erased_some(world)
    ifru("train", original, "--out", f"{url}-new", "--label", "liked", "--l2", 0.1, "--rank", 5)
    left = pairs(world.newest().dataset)
    assert names(open_store(f"{url}-new"))[0] > {"user 3"}
    done = ifru("adopt", url, "--from", f"{url}-new")
    after = world.newest()
    assert pairs(after.dataset) == left
    assert after.manifest.model.rank == 5
    assert done["erased"]["train"] > 0
    assert done["influence"] <= 0.01
    world.submit(erase_user("r5", 6))
    world.drain()
    assert "user 6" not in names(world.store)[0]


@pytest.mark.parametrize("command", ["retrain", "adopt"])
def test_a_candidate_is_left_for_the_daemon_which_takes_who_was_erased_meanwhile_out_of_it(
    command: str, world: World, url: str, original: Path, ifru: Run
) -> None:
    erased_some(world)
    arguments = [command, url, "--candidate"]
    if command == "adopt":
        ifru("train", original, "--out", f"{url}-new", "--label", "liked", "--l2", 0.1, "--rank", 5)
        arguments += ["--from", f"{url}-new"]
    newest = world.newest().manifest
    done = ifru(*arguments)
    assert done["version"] is None
    assert world.newest().manifest == newest
    world.submit(erase_user("r5", 6))
    world.drain()
    left = {pair for pair in pairs(trained_dataset()) if pair[0] not in ("user 3", "user 6") and pair[1] != "item 5"}
    assert set(pairs(world.newest().dataset)) == left - {sorted(pairs(trained_dataset()))[-1]}
    assert [manifest.candidate for manifest in world.manifests() if manifest.candidate] == [done["candidate"]]


def test_a_version_that_is_committed_meanwhile_is_not_undone(world: World) -> None:
    before = world.newest()
    state = FullState(before.manifest.model, before.parameters, before.dataset)
    world.submit(erase_user("r1", 3))
    world.drain()
    after = world.newest().manifest
    for as_candidate in (False, True):
        arguments = (world.store, before.manifest, state, before.manifest.residual, {}, Suppression.read(world.store))
        if as_candidate:
            next_version(*arguments, as_candidate=True)
        else:
            with pytest.raises(IfruError, match="--candidate"):
                next_version(*arguments, as_candidate=False)
        assert world.newest().manifest == after
    world.drain()
    assert "user 3" not in names(world.store)[0]


def test_who_was_erased_is_known_by_a_key_that_lies_elsewhere(
    world: World, url: str, original: Path, tmp_path: Path, ifru: Run
) -> None:
    erased_some(world)
    key = tmp_path / "key.json"
    key.write_bytes(world.store.get(HASH_KEY))
    world.store.delete(HASH_KEY)
    arguments = ("train", original, "--out", f"{url}-new", "--label", "liked", "--l2", 0.1, "--rank", 4)
    assert "--hash-key-file" in ifru(*arguments, "--suppressed", url, code=2)
    ifru(*arguments, "--suppressed", url, "--hash-key-file", key)
    new = open_store(f"{url}-new")
    assert HASH_KEY not in new.list("")
    assert Reader(new).manifest(1).hash_key_id == world.newest().manifest.hash_key_id
    assert "user 3" not in names(new)[0]


def test_adopting_a_prefix_into_itself_is_refused(world: World, url: str, ifru: Run) -> None:
    assert "another model" in ifru("adopt", url, "--from", f"{url}/", code=2)


@pytest.mark.parametrize("command", ["retrain", "adopt"])
def test_after_a_version_from_elsewhere_was_collected_around_a_used_id_is_still_refused_for_another_request(
    command: str, world: World, url: str, original: Path, ifru: Run
) -> None:
    erased_some(world)
    if command == "adopt":
        ifru("train", original, "--out", f"{url}-new", "--label", "liked", "--l2", 0.1, "--rank", 5)
    before = world.newest().manifest
    ifru(command, url, *(("--from", f"{url}-new") if command == "adopt" else ()))
    ifru("collect", url, "--older-than", "0s")
    world.submit(erase_user("r1", 3), erase_user("r4", 98))
    world.drain()
    told = [(said["state"], said["version"]) for said in world.receipts() if said["request_id"] == "r1"]
    assert set(told) == {("published", before.version)}
    assert [letter["field"] for letter in world.dead_letters()] == ["id"]
