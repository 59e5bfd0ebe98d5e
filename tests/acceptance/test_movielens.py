"""What the engine promises on MovieLens 100K: rank 16, λ 0.1, a rating of 4 or more is liked.

IFRU_DATA names a folder with ml-100k.csv.gz (user,item,rating,timestamp), which may not be passed on with the project.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from ifru.engine.settings import EngineSettings
from ifru.evaluation.verify import Verification, verify
from ifru.interactions import Dataset
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import load_dataset
from ifru.models import MFConfig, ModelConfig
from ifru.models.lightgcn import LightGCNConfig
from ifru.requests import Request, parse_request
from ifru.training import train
from ifru.training.train import TrainedModel

DATA = Path(os.environ.get("IFRU_DATA", ""), "ml-100k.csv.gz")
CONFIG = MFConfig(rank=16, l2=0.1)

pytestmark = pytest.mark.skipif(
    not DATA.is_file(), reason="IFRU_DATA names no folder with ml-100k.csv.gz, which is not ours to pass on"
)


@pytest.fixture(scope="module")
def ratings() -> Dataset:
    return load_dataset(DATA, LabelRule.parse("rating>=4"), holdout=0.2, seed=0)


@pytest.fixture(scope="module")
def model(ratings: Dataset) -> TrainedModel:
    return trained(ratings, torch.float32)


def trained(ratings: Dataset, dtype: torch.dtype) -> TrainedModel:
    return train(ratings, [CONFIG], seed=0, device=torch.device("cpu"), dtype=dtype)


def random_interactions(data: Dataset, count: int, seed: int) -> list[Request]:
    return [pairs(data, np.random.default_rng(seed).choice(len(data.train), count, replace=False))]


def pairs(data: Dataset, rows: np.ndarray) -> Request:
    named = [[data.users.name(data.train.user[row]), data.items.name(data.train.item[row])] for row in rows]
    return written("erase_interactions", f'"interactions": {named}'.replace("'", '"'))


def random_users(data: Dataset, count: int, seed: int) -> list[Request]:
    users = np.random.default_rng(seed).choice(data.train.users, count, replace=False)
    return [written("erase_user", f'"subject": "{data.users.name(user)}"') for user in users]


def written(kind: str, content: str) -> Request:
    return parse_request(f'{{"id": "r", "type": "{kind}", "time": "2026-11-21T10:00:00Z", {content}}}')


def check(found: Verification, forget: float, holdout: float) -> None:
    assert found.left.forget is not None
    assert found.left.holdout is not None
    assert found.auc.after is not None
    assert found.auc.retrained is not None
    assert found.left.forget <= forget
    assert found.left.holdout <= holdout
    assert abs(found.auc.after - found.auc.retrained) <= 0.0005
    assert found.rms.true <= found.rms.bound <= 2.5 * found.rms.true


@pytest.mark.parametrize(("dtype", "gap"), [(torch.float64, 1e-8), (torch.float32, 1e-5)])
def test_training_ends_proven_optimal(ratings: Dataset, dtype: torch.dtype, gap: float) -> None:
    found = trained(ratings, dtype)
    assert found.ready
    assert found.proof.relative_gap <= gap


@pytest.mark.parametrize(
    ("tolerance", "refine", "forget", "holdout"),
    [(0.1, False, 0.1, 0.3), (None, False, 0.02, 0.08), (None, True, 0.002, 0.01)],
    ids=["first tolerance", "default", "refined"],
)
def test_a_hundred_random_interactions_are_forgotten(
    ratings: Dataset, model: TrainedModel, tolerance: float | None, refine: bool, forget: float, holdout: float
) -> None:
    settings = EngineSettings() if tolerance is None else EngineSettings(tolerance=tolerance)
    requests = random_interactions(ratings, 100, seed=1)
    check(verify(CONFIG, model.parameters, ratings, requests, settings=settings, refine=refine), forget, holdout)


def test_ten_whole_users_are_forgotten(ratings: Dataset, model: TrainedModel) -> None:
    check(verify(CONFIG, model.parameters, ratings, random_users(ratings, 10, seed=1)), 0.0, 0.06)


@pytest.mark.parametrize("config", [MFConfig(rank=16, l2=0.1, loss="bpr"), LightGCNConfig(rank=16, l2=0.1, loss="bpr")])
def test_preferences_are_forgotten_too(config: ModelConfig) -> None:
    data = load_dataset(DATA, LabelRule.parse("positive:1"), holdout=0.2, seed=0)
    model = train(data, [config], seed=0, device=torch.device("cpu"), dtype=torch.float64)
    assert model.proof is not None
    assert model.proof.relative_gap <= 1e-6
    rows = np.random.default_rng(1).choice(np.flatnonzero(data.train.recorded), 100, replace=False)
    check(verify(config, model.parameters, data, [pairs(data, rows)]), 0.02, 0.05)
    check(verify(config, model.parameters, data, random_users(data, 10, seed=1)), 0.0, 0.05)
