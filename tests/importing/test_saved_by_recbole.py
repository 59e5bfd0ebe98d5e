"""Checkpoints that RecBole 1.2.1 itself saved (`saved_by_recbole/make.py`), and the scores that it gave."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from ifru.cli import app
from ifru.engine.engine import Engine
from ifru.engine.settings import EngineSettings
from ifru.interactions import Deletion
from ifru.models import model_of
from ifru.snapshots import Reader, Version, debt_of, open_store

SAVED = Path(__file__).parent / "saved_by_recbole"


@pytest.fixture(scope="module", params=["BPR", "LightGCN", "NeuMF"])
def imported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Version]:
    """RecBole's name of a model, and the version that came of its checkpoint."""
    url = (tmp_path_factory.mktemp("imported") / "store").as_uri()
    files = {"data": "data.csv", "user-ids": "users.txt", "item-ids": "items.txt"}
    named = [part for option, name in files.items() for part in (f"--{option}", str(SAVED / name))]
    line = ["import", "recbole", str(SAVED / f"{request.param}.pth"), *named, "--l2", "0.05", "--out", url, "--json"]
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["moved"] in (None, 0)
    return request.param, Reader(open_store(url)).load()


def test_its_scores_are_those_that_recbole_gave(imported: tuple[str, Version]) -> None:
    name, version = imported
    model, serving = model_of(version.manifest.model), version.serving.to("cpu", torch.float64)
    found = model.with_shared(serving.shared) if serving.shared else model
    given = torch.from_numpy(np.load(SAVED / f"{name}.npy")).double()
    torch.testing.assert_close(found.all_scores(serving.user, serving.item), given, rtol=1e-5, atol=1e-5)


def test_a_hundred_of_its_pairs_are_forgotten(imported: tuple[str, Version]) -> None:
    _, version = imported
    dataset, debt = version.dataset.copy(), debt_of(version)
    engine = Engine(version.manifest.model, version.parameters, dataset, EngineSettings(), debt=debt)
    rows = np.random.default_rng(0).choice(np.flatnonzero(dataset.train.recorded), 100, replace=False)
    update = engine.apply(Deletion(dataset.train.with_companions(rows), np.empty(0, dtype=np.int64)))
    assert update.influence <= 0.01
    assert not dataset.train.alive[rows].any()
    assert all(bool(table.isfinite().all()) for table in engine.parameters.tables.values())
