"""A model that this package does not know, registered from outside: every part of the library serves it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ifru.engine.engine import Engine
from ifru.engine.settings import EngineSettings
from ifru.errors import IfruError
from ifru.evaluation.verify import verify
from ifru.interactions import Dataset, Deletion, Interactions
from ifru.interactions.generated import generate
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import split
from ifru.models import model_of
from ifru.requests import parse_request
from ifru.training import train
from ifru.training.newton import Plan, initial, minimise
from ifru.training.warm_up import warm_up
from tests.models.bent import Bent, BentConfig
from tests.models.installed import install_bent

CPU = torch.device("cpu")
CONFIG = BentConfig(rank=3, l2=0.2, sharpness=0.1)
NOTHING = np.empty(0, dtype=np.int64)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return split(generate(60, 40, 600, seed=3), LabelRule.parse("rating>=4"), 0.2, seed=0)


@pytest.fixture(scope="module")
def theta(dataset: Dataset) -> Tensor:
    """A stationary point."""
    objective = model_of(CONFIG).objective(dataset.train, CPU, torch.float64)
    trained = minimise(objective, initial(objective, 0), Plan())
    assert trained.reason == "stationary"
    return trained.theta


@pytest.mark.parametrize(
    ("support", "left_at_most"),
    # One solve within a trust region of two block steps does not go further.
    [("auto", 0.05), ("residual", 0.95), ("push", 0.1), ("k_hop", 0.95), ("global", 0.05)],
)
def test_every_support_brings_it_towards_the_retrained_model(
    dataset: Dataset, theta: Tensor, support: str, left_at_most: float
) -> None:
    settings = EngineSettings.model_validate({"support": support, "tolerance": 0.02, "k_hop_share": 1.0})
    engine = Engine(CONFIG, model_of(CONFIG).layout(60, 40).parameters(theta), dataset.copy(), settings)
    rows = np.sort(np.random.default_rng(5).choice(len(dataset.train), 10, replace=False))
    engine.apply(Deletion(rows, NOTHING))
    engine.settle()
    found = engine.parameters.stacked()

    table = dataset.train.copy()
    table.delete(rows)
    objective = model_of(CONFIG).objective(table, CPU, torch.float64)
    start = theta.clone()
    start[objective.ridge == 0] = 0
    exact = minimise(objective, start, Plan(tolerance=1e-10)).theta
    torch.testing.assert_close(engine.state.point.gradient, objective.at(found).gradient, rtol=0, atol=1e-8)
    scores = [_scores(at, dataset.holdout) for at in (found, exact, theta)]
    left = float((scores[0] - scores[1]).norm() / (scores[2] - scores[1]).norm())
    assert left <= left_at_most


def test_many_batches_leave_its_debt_exact(dataset: Dataset, theta: Tensor) -> None:
    parameters = model_of(CONFIG).layout(60, 40).parameters(theta)
    engine = Engine(CONFIG, parameters, dataset.copy(), EngineSettings(tolerance=0.1))
    for part in np.array_split(np.random.default_rng(6).permutation(len(dataset.train))[:100], 10):
        engine.apply(Deletion(np.sort(part), NOTHING))
    engine.refine()
    engine.settle()
    fresh = engine.state.objective.at(engine.parameters.stacked())
    torch.testing.assert_close(engine.state.point.gradient, fresh.gradient, rtol=0, atol=1e-8)


def _scores(theta: Tensor, table: Interactions) -> Tensor:
    return Bent(CONFIG).scores(
        theta[torch.from_numpy(table.user.astype(np.int64))],
        theta[torch.from_numpy(table.item.astype(np.int64)) + table.users],
    )


def test_it_is_trained_warmed_up_and_checked_like_any_other(dataset: Dataset) -> None:
    """At a rank at which rows of few interactions take another form of their blocks."""
    config = CONFIG.model_copy(update={"rank": 8})
    warm_up(config, CPU, (torch.float64,))
    trained = train(dataset, [config], grow=True)
    assert trained.proof is None
    assert trained.config.rank == 8
    pair = dataset.users.name(int(dataset.train.user[0])), dataset.items.name(int(dataset.train.item[0]))
    asked = parse_request(
        json.dumps({"id": "r", "type": "erase_interactions", "interactions": [pair], "time": "2026-11-21T10:00:00Z"})
    )
    found = verify(config, trained.parameters, dataset, [asked])
    assert found.rms.bound is None
    assert found.products > 0
    assert found.ndcg10.before is not None


def test_a_loss_of_differences_is_refused_where_the_model_has_scores_alone(dataset: Dataset) -> None:
    with pytest.raises(IfruError, match="the loss bpr is not offered by this model"):
        model_of(BentConfig(rank=3, l2=0.2, loss="bpr")).objective(dataset.train, torch.device("cpu"), torch.float64)


def test_an_installed_package_makes_its_model_known_to_the_commands(tmp_path: Path) -> None:
    install_bent(tmp_path)
    program = "from ifru.models import config_of as of; print(of(dict(name='bent', rank=2, l2=1, sharpness=2.5)))"
    places = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": places}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False)
    assert "sharpness=2.5" in done.stdout, done.stderr
