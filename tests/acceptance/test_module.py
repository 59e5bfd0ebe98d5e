"""A daemon on a user's own module: it forgets, is killed, and goes on; without its setting it does not start."""

from __future__ import annotations

import os
import random
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch

from ifru.models.quality import scores
from ifru.snapshots import FullState, Residual, Version, Writer, debt_of, open_store
from ifrud.requests.submit import submit
from tests.acceptance.running import Pair, Places, await_, daemon, distinct, drawn, erase_pair, lines, pairs, run
from tests.models.modules import module_config, practised, ratings

ROOT = Path(__file__).parent.parent.parent
FACTORY = "tests.models.scored:make"
MODEL = ("--set", f"model={FACTORY}")


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other processes find the user's module, as they do where its folder is on their path."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))


@pytest.fixture
def store(tmp_path: Path, importable: None) -> Path:
    """With version 1 of the module."""
    config, dataset = module_config(damping=2.0).described(), ratings(200, 100, 4000)
    parameters = practised(config, dataset).to("cpu", torch.float32)
    residual = Residual(
        influence=None, settled=None, total=0.0, batch_energy=0.0, added_energy=0.0, method="training", reason="steps"
    )
    folder = tmp_path / "store"
    writer = Writer(open_store(folder.as_uri()), lambda: datetime.now(UTC), lambda: "start")
    writer.start(FullState(config, parameters, dataset), {}, residual)
    return folder


@pytest.mark.parametrize("kind", ["file_places", "kafka_places"])
def test_it_forgets_is_killed_and_goes_on(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    places: Places = request.getfixturevalue(kind)
    before = places.version()
    chosen = {f"r{number}": pair for number, pair in enumerate(drawn(before, 60, random.Random(1)))}
    small = ("--set", "batch.max_requests=10", "--set", "batch.max_backlog=10", *MODEL)
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
    assert debt_of(after) is not None
    assert all((manifest.residual.influence or 0.0) <= 0.01 for manifest in places.manifests())
    assert _loss(before, after, set(chosen.values())) > _loss(before, before, set(chosen.values()))


def _loss(named: Version, scored: Version, chosen: set[Pair]) -> float:
    """Of chosen pairs among the training rows of one version, by the scores of another."""
    dataset, table = named.dataset, named.dataset.train
    names = (
        (dataset.users.name(int(user)), dataset.items.name(int(item)))
        for user, item in zip(table.user, table.item, strict=True)
    )
    rows = [row for row, pair in enumerate(names) if pair in chosen]
    score = torch.from_numpy(scores(scored.manifest.model, scored.serving, table.user[rows], table.item[rows]))
    label = torch.from_numpy(table.label[rows]).double()
    return float(torch.nn.functional.binary_cross_entropy_with_logits(score, label))


def test_without_its_setting_it_says_what_to_set_and_writes_nothing(file_places: Places, tmp_path: Path) -> None:
    with daemon(tmp_path, file_places, "--drain") as refused:
        assert refused.wait() == 2
        assert f"set `model: {FACTORY}` (IFRUD_MODEL)" in refused.log()[-1]["event"]
    assert file_places.published() == 1


@pytest.mark.parametrize("factory", ["no_such_package:make", "tests.models.scored:Logarithm"])
def test_a_wrong_setting_ends_it_by_one_sentence(factory: str, file_places: Places, tmp_path: Path) -> None:
    with daemon(tmp_path, file_places, "--drain", "--set", f"model={factory}") as refused:
        assert refused.wait() == 2
        assert "\n" not in refused.log()[-1]["event"]
    assert file_places.published() == 1


def test_a_verification_needs_the_option(file_places: Places, tmp_path: Path) -> None:
    requests = tmp_path / "requests.jsonl"
    requests.write_bytes(erase_pair("r1", next(iter(pairs(file_places.version().dataset)))) + b"\n")
    done = run("ifru", "verify", file_places.store_url, "--requests", str(requests))
    assert done.returncode == 2
    assert f"pass --model {FACTORY}" in done.stderr
    assert run("ifru", "audit", file_places.store_url).returncode == 0
