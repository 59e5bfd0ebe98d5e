"""A daemon on versions of the loss of preferences: it forgets with negatives, is killed, and goes on."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ifru.evaluation.tightened import tightened
from ifrud.requests.submit import submit
from tests.acceptance.running import Places, await_, daemon, distinct, erase_pair, lines, run, write_ratings

MODELS = {"mf": ("--bias", "--l2", "0.2"), "lightgcn": ("--model", "lightgcn", "--l2", "0.05")}


@pytest.mark.parametrize("model", MODELS)
def test_it_forgets_is_killed_and_goes_on(model: str, file_places: Places, tmp_path: Path) -> None:
    write_ratings(tmp_path / "ratings.csv")
    preferred = ("--loss", "bpr", "--label", "positive:2", *MODELS[model])
    places = replace(file_places, store=tmp_path / "preferred")
    done = run("ifru", "train", str(tmp_path / "ratings.csv"), "--out", places.store_url, *preferred)
    assert done.returncode == 0, done.stderr
    before = places.version()
    train = before.dataset.train
    rows = random.Random(1).sample([int(row) for row in range(len(train)) if train.recorded[row]], 40)
    users, items = before.dataset.users, before.dataset.items
    chosen = {f"r{z}": (str(users.name(train.user[z])), str(items.name(train.item[z]))) for z in rows}
    small = ("--set", "batch.max_requests=10", "--set", "batch.max_backlog=10")
    submit((erase_pair(name, pair) for name, pair in chosen.items()), places.events, max_bytes=2**20)
    with daemon(tmp_path / "one", places, *small) as killed:
        await_(lambda: places.published() >= 3, "version 3")
        killed.kill()
    with daemon(tmp_path / "two", places, *small, "--drain") as last:
        assert last.wait() == 0, last.log()[-1]

    after = places.version()
    left = after.dataset.train
    assert Counter(len(each) for each in distinct(lines(places.receipts)).values()) == Counter({1: 40})
    assert left.retained == train.retained - 3 * 40
    assert after.manifest.model == before.manifest.model
    assert (left.user[left.origin] == left.user).all()
    assert int((~left.recorded).sum()) == 2 * int(left.recorded.sum())
    found = tightened(after.parameters, left, after.manifest.model, random=torch.Generator().manual_seed(0))
    assert found.solution.relative_gap <= 1e-6
    assert found.proof.rms_bound <= 2e-3
