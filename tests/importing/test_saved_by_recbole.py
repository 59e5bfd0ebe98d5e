"""Checkpoints that RecBole 1.2.1 itself saved (`saved_by_recbole/make.py`), and the scores that it gave."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from ifru.cli import app
from ifru.interactions import Dataset
from ifru.models import model_of
from ifru.snapshots import Reader, Version, open_store
from ifrud.requests.submit import submit
from tests.acceptance.running import Pair, Places, daemon, erase_pair, lines

SAVED = Path(__file__).parent / "saved_by_recbole"


@pytest.fixture(scope="module", params=["BPR", "LightGCN", "NeuMF"])
def imported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, Version]:
    """RecBole's name of a model, the store that its checkpoint went to, and the version there."""
    url = (tmp_path_factory.mktemp("imported") / "store").as_uri()
    files = {"data": "data.csv", "user-ids": "users.txt", "item-ids": "items.txt"}
    named = [part for option, name in files.items() for part in (f"--{option}", str(SAVED / name))]
    line = ["import", "recbole", str(SAVED / f"{request.param}.pth"), *named, "--l2", "0.05", "--out", url, "--json"]
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["moved"] in (None, 0)
    return request.param, url, Reader(open_store(url)).load()


def test_its_scores_are_those_that_recbole_gave(imported: tuple[str, str, Version]) -> None:
    name, _, version = imported
    model, serving = model_of(version.manifest.model), version.serving.to("cpu", torch.float64)
    found = model.with_shared(serving.shared) if serving.shared else model
    given = torch.from_numpy(np.load(SAVED / f"{name}.npy")).double()
    torch.testing.assert_close(found.all_scores(serving.user, serving.item), given, rtol=1e-5, atol=1e-5)


def test_a_daemon_forgets_a_hundred_of_its_pairs(imported: tuple[str, str, Version], tmp_path: Path) -> None:
    _, url, before = imported
    streams = ((tmp_path / f"{name}.jsonl").as_uri() for name in ("events", "receipts", "dead"))
    places = Places(Path(url.removeprefix("file://")), *streams)
    recorded = _recorded(before.dataset)
    chosen = {f"r{number}": pair for number, pair in enumerate(random.Random(1).sample(sorted(recorded), 100))}
    submit((erase_pair(name, pair) for name, pair in chosen.items()), places.events, max_bytes=2**20)
    with daemon(tmp_path / "run", places, "--drain") as one:
        assert one.wait() == 0, one.log()[-1]
    after = places.version()
    assert _recorded(after.dataset) == recorded - set(chosen.values())
    assert {line["state"] for line in lines(places.receipts)} == {"published"}
    assert (after.manifest.residual.influence or 0.0) <= 0.01
    assert all(bool(table.isfinite().all()) for table in after.parameters.tables.values())


def _recorded(dataset: Dataset) -> set[Pair]:
    """Pairs of the training rows, sampled negatives aside."""
    table = dataset.train
    rows = np.flatnonzero(table.alive & table.recorded)
    return {(dataset.users.name(int(table.user[row])), dataset.items.name(int(table.item[row]))) for row in rows}
