"""A daemon on a LightGCN version, by configuration alone: it forgets, is killed, and goes on."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ifru.models import model_of
from ifru.objective.parameters import Parameters
from ifru.snapshots import Version
from ifru.training import fit, polish
from ifrud.requests.submit import submit
from tests.acceptance.running import (
    Places,
    await_,
    daemon,
    distinct,
    drawn,
    erase_pair,
    erase_user,
    lines,
    pairs,
    run,
    write_ratings,
)


@pytest.fixture(scope="module")
def graph_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with version 1 of LightGCN, made by `ifru train`."""
    folder = tmp_path_factory.mktemp("lightgcn")
    write_ratings(folder / "ratings.csv")
    model = ("--model", "lightgcn", "--layers", "2", "--rank", "8", "--l2", "0.05")
    done = run("ifru", "train", str(folder / "ratings.csv"), "--out", (folder / "store").as_uri(), *model)
    assert done.returncode == 0, done.stderr
    return folder / "store"


@pytest.mark.parametrize("kind", ["file_places", "kafka_places"])
def test_it_forgets_is_killed_and_goes_on(
    kind: str, graph_store: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    given: Places = request.getfixturevalue(kind)
    places = replace(given, store=Path(shutil.copytree(graph_store, tmp_path / "graph")))
    before = places.version()
    chosen = {f"r{number}": pair for number, pair in enumerate(drawn(before, 60, random.Random(1)))}
    small = ("--set", "batch.max_requests=10", "--set", "batch.max_backlog=10")
    submit((erase_pair(name, pair) for name, pair in chosen.items()), places.events, max_bytes=2**20)
    with daemon(tmp_path / "one", places, *small) as killed:
        await_(lambda: places.published() >= 4, "version 4")
        killed.kill()
    with daemon(tmp_path / "two", places, *small, "--drain") as last:
        assert last.wait() == 0, last.log()[-1]

    after = places.version()
    assert pairs(after.dataset) == pairs(before.dataset) - Counter(chosen.values())
    assert {name: len(different) for name, different in distinct(lines(places.receipts)).items()} == dict.fromkeys(
        chosen, 1
    )
    assert after.manifest.model == before.manifest.model
    _serves_its_own_propagation(after)
    assert _left(before, after) < 0.1


def test_a_whole_user_leaves_nothing_in_what_is_served(graph_store: Path, file_places: Places, tmp_path: Path) -> None:
    places = replace(file_places, store=Path(shutil.copytree(graph_store, tmp_path / "graph")))
    row = places.version().dataset.users.row("u7")
    assert row is not None
    submit([erase_user("r1", "u7")], places.events, max_bytes=2**20)
    with daemon(tmp_path, places, "--drain") as running:
        assert running.wait() == 0, running.log()[-1]
    after = places.version()
    assert after.dataset.users.row("u7") is None
    assert not after.parameters.user[row].any()
    assert not after.serving.user[row].any()


def _serving(version: Version, parameters: Parameters) -> torch.Tensor:
    served = model_of(version.manifest.model).serving(parameters, version.dataset.train)
    return torch.cat([served.user, served.item])


def _serves_its_own_propagation(version: Version) -> None:
    served = torch.cat([version.serving.user, version.serving.item])
    torch.testing.assert_close(served, _serving(version, version.parameters), rtol=1e-4, atol=1e-5)
    assert not torch.equal(served, version.parameters.stacked())


def _left(before: Version, after: Version) -> float:
    """Of the change of held-out scores that retraining makes."""
    config, train = after.manifest.model, after.dataset.train
    start = fit(train, config, seed=0, device=torch.device("cpu"), dtype=torch.float64)
    layout = model_of(config).layout(train.users, train.items)
    exact = _serving(after, layout.parameters(polish(train, config, start.theta).theta))
    versions = [_serving(each, each.parameters.to("cpu", torch.float64)) for each in (before, after)]
    rows = np.flatnonzero(after.dataset.holdout.alive)
    user = torch.from_numpy(after.dataset.holdout.user[rows].astype(np.int64))
    item = torch.from_numpy(after.dataset.holdout.item[rows].astype(np.int64)) + train.users
    scores = [(table[user] * table[item]).sum(1) for table in (*versions, exact)]
    return float((scores[1] - scores[2]).norm() / (scores[0] - scores[2]).norm())
