"""A small trained model, and what forgetting it exactly would give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from ifru.engine.engine import Engine
from ifru.engine.settings import EngineSettings
from ifru.interactions import Dataset, Deletion
from ifru.interactions.generated import generate
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import split
from ifru.models import MFConfig, model_of
from ifru.objective.parameters import Parameters
from ifru.training.newton import Plan, initial, minimise

CONFIG = MFConfig(rank=12, l2=0.13)
NOTHING = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class World:
    """A data set, a model trained on it in float64, and ways to score."""

    dataset: Dataset
    theta: Tensor

    def engine(self, dtype: torch.dtype = torch.float32, **settings: object) -> Engine:
        tables = Parameters.unstacked(self.theta.to(dtype), self.dataset.train.users)
        return Engine(CONFIG, tables, self.dataset.copy(), EngineSettings.model_validate(settings))

    def retrained(self, rows: np.ndarray) -> Tensor:
        """θ retrained, from where it stands, without some training rows."""
        data = self.dataset.copy()
        data.train.delete(rows)
        objective = model_of(CONFIG).objective(data.train, torch.device("cpu"), torch.float64)
        start = self.theta.clone()
        start[objective.ridge == 0] = 0
        return minimise(objective, start, Plan(sweeps=0)).theta

    def left(self, theta: Tensor, rows: np.ndarray) -> tuple[float, float]:
        """What is left of the deletion of training rows: on the forgotten and on the held-out pairs."""
        exact = self.retrained(rows)
        tables = (self.dataset.train, rows), (self.dataset.holdout, np.arange(len(self.dataset.holdout)))
        forget, holdout = (self._left(theta, exact, table.user[some], table.item[some]) for table, some in tables)
        return forget, holdout

    def _left(self, theta: Tensor, exact: Tensor, user: np.ndarray, item: np.ndarray) -> float:
        users = self.dataset.train.users
        ends = torch.from_numpy(user).long(), torch.from_numpy(item).long() + users
        score = [(at[ends[0]] * at[ends[1]]).sum(1).double() for at in (theta, exact, self.theta)]
        return float((score[0] - score[1]).norm() / (score[2] - score[1]).norm())


@pytest.fixture(scope="session")
def world() -> World:
    dataset = split(generate(400, 300, 20_000, seed=7), LabelRule.parse("value>=4"), 0.2, seed=0)
    objective = model_of(CONFIG).objective(dataset.train, torch.device("cpu"), torch.float64)
    trained = minimise(objective, initial(objective, 0), Plan())
    assert trained.reason == "stationary"
    return World(dataset, trained.theta)


@pytest.fixture(scope="session")
def some_rows(world: World) -> Callable[[int, int], np.ndarray]:
    """Training rows, drawn at random: (how many, seed) -> positions, ascending."""

    def draw(count: int, seed: int) -> np.ndarray:
        return np.sort(np.random.default_rng(seed).choice(len(world.dataset.train), count, replace=False))

    return draw


def train_rows(rows: np.ndarray) -> Deletion:
    """A deletion of training rows alone."""
    return Deletion(np.sort(rows), NOTHING)
