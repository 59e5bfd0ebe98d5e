"""A model that is fitted to all pairs, in the engine: rows and whole users go, and the retrained model is left."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import Tensor

from ifru.engine.engine import Engine
from ifru.engine.settings import EngineSettings
from ifru.engine.supported import UnsupportedSupport
from ifru.interactions import Dataset, Deletion
from ifru.interactions.generated import generate
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import split
from ifru.kernels.dispatch import torch_only
from ifru.models import model_of
from ifru.models.ials import IALSConfig
from ifru.objective.parameters import Parameters
from ifru.training.newton import Plan, initial, minimise

NOTHING = np.empty(0, dtype=np.int64)
CONFIG = IALSConfig(rank=12, l2=5.0, alpha=2.0)
PATHS = pytest.mark.parametrize("path", ["compiled", "torch"])


@dataclass(frozen=True)
class World:
    """Positives alone, some pairs twice, and a model trained on them."""

    dataset: Dataset
    theta: Tensor

    def engine(self, dtype: torch.dtype = torch.float64, **settings: object) -> Engine:
        tables = Parameters.unstacked(self.theta.to(dtype), self.dataset.train.users)
        return Engine(CONFIG, tables, self.dataset.copy(), EngineSettings.model_validate(settings))

    def users(self, *users: int) -> np.ndarray:
        return np.concatenate([self.dataset.train.rows_of_user(user) for user in users])

    def retrained(self, rows: np.ndarray) -> Tensor:
        data = self.dataset.copy()
        data.train.delete(rows)
        objective = model_of(CONFIG).objective(data.train, torch.device("cpu"), torch.float64)
        return minimise(objective, initial(objective, 1), Plan()).theta

    def left(self, theta: Tensor, rows: np.ndarray) -> float:
        """Over all pairs."""
        users = self.dataset.train.users
        now, exact, was = (at[:users] @ at[users:].T for at in (theta.double(), self.retrained(rows), self.theta))
        return float((now - exact).norm() / (was - exact).norm())


@pytest.fixture(scope="module")
def world() -> World:
    recorded = generate(120, 90, 2_500, seed=5)
    recorded.item[:400] = recorded.item[400:800]
    recorded.user[:400] = recorded.user[400:800]
    dataset = split(replace(recorded, value=None), LabelRule.parse("positive:0"), 0.1, seed=0)
    objective = model_of(CONFIG).objective(dataset.train, torch.device("cpu"), torch.float64)
    trained = minimise(objective, initial(objective, 0), Plan())
    assert trained.reason == "stationary"
    return World(dataset, trained.theta)


@PATHS
@pytest.mark.parametrize("support", ["auto", "k_hop"])
def test_batches_of_rows_and_users_leave_little_and_the_debt_is_exact(world: World, path: str, support: str) -> None:
    with torch_only() if path == "torch" else nullcontext():
        engine = world.engine(support=support, tolerance=0.01)
        random = np.random.default_rng(0)
        rows = [random.choice(len(world.dataset.train), 20, replace=False), world.users(3, 40), world.users(7)]
        for some in rows:
            update = engine.apply(Deletion(some, NOTHING))
            assert engine.settle().influence == pytest.approx(update.influence)
            assert update.influence <= (0.01 if support == "auto" else 1)
            point = engine.state.point
            fresh = engine.state.objective.at(point.theta.clone())
            torch.testing.assert_close(point.gradient, fresh.gradient, rtol=0, atol=1e-9)
    table = engine.dataset.train
    assert float(engine.state.point.theta[torch.from_numpy(table.degree == 0)].abs().sum()) == 0
    assert world.left(engine.state.point.theta, np.concatenate(rows)) <= (0.02 if support == "auto" else 0.9)


def test_refinement_ends_at_the_retrained_model(world: World) -> None:
    rows = np.concatenate([world.users(11), np.arange(10)])
    engine = world.engine(refined=1e-6)
    engine.apply(Deletion(rows, NOTHING))
    while engine.refine() is not None:
        pass
    assert world.left(engine.state.point.theta, rows) <= 1e-5


def test_float32_and_a_cache_of_few_blocks_do_the_same(world: World) -> None:
    rows = world.users(11)
    engine = world.engine(torch.float32, tolerance=0.01, cache_bytes=10 * 12 * 12 * 4)
    assert engine.apply(Deletion(rows, NOTHING)).influence <= 0.01
    assert world.left(engine.state.point.theta, rows) <= 0.02


def test_blocks_keep_nothing_of_rows_that_are_gone(world: World) -> None:
    engine = world.engine()
    engine.apply(Deletion(world.users(3, 40), NOTHING))
    engine.settle()
    state = engine.state
    x = torch.ones_like(state.point.theta)
    before = state.preconditioner(state.rows).apply(x)
    state.cache.clear()
    after = state.preconditioner(state.rows).apply(x)
    assert float((before - after).norm()) <= 0.05 * float(after.norm())


@pytest.mark.parametrize("support", ["residual", "push"])
def test_supports_of_few_rows_are_refused(world: World, support: str) -> None:
    with pytest.raises(UnsupportedSupport, match="allowed here, with ials, are auto, k_hop and global"):
        world.engine(support=support)
