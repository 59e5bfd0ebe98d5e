"""The engine against one update that is written out densely: the same debt, the same step, the same influence."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import softplus

import ifru
from ifru import Dataset, Deletion, Engine, EngineSettings, MFConfig, Parameters
from ifru.engine.update import Update as Answer
from ifru.interactions import Columns, Ids, Interactions
from tests.engine.dense_update import Problem, Update, influence_update

USERS, ITEMS, ROWS = 14, 11, 70
FEW = 7
"""A row of so few interactions that loses one has its block built anew, so the engine's blocks are exact."""

SUPPORTS = ("auto", "residual", "push", "k_hop", "global")
NOTHING = np.empty(0, dtype=np.int64)
CASES = {
    "bce": MFConfig(rank=3, l2=0.2),
    "biases": MFConfig(rank=3, l2=0.2, bias=True),
    "squared": MFConfig(rank=3, l2=0.5, loss="squared"),
}


@dataclass(frozen=True)
class Small:
    """A model at a stationary point of a few interactions, as the engine has it, and as the formulas have it."""

    config: MFConfig
    dataset: Dataset
    tables: Parameters
    problem: Problem

    def engine(self, **settings: object) -> Engine:
        return Engine(self.config, self.tables, self.dataset.copy(), EngineSettings.model_validate(settings))

    def dense(self, rows: np.ndarray, support: Tensor) -> Update:
        """The deletion of interactions at some positions, and the step of a support."""
        deleted = torch.zeros(ROWS, dtype=torch.bool)
        deleted[torch.from_numpy(rows)] = True
        return influence_update(self.problem, self.tables.stacked(), ~torch.zeros_like(deleted), deleted, support)

    def few(self, count: int, seed: int) -> Deletion:
        """Interactions between rows of few."""
        degree = self.problem.degree(torch.ones(ROWS, dtype=torch.bool))
        rows = np.flatnonzero((degree[self.problem.ends] <= FEW).all(1).numpy())
        return Deletion(np.sort(np.random.default_rng(seed).choice(rows, count, replace=False)), NOTHING)


def dataset() -> Dataset:
    random = np.random.default_rng(0)
    pairs = random.permutation(USERS * ITEMS)[:ROWS]
    user, item = (pairs // ITEMS).astype(np.int32), (pairs % ITEMS).astype(np.int32)
    label, weight = random.integers(0, 2, ROWS).astype(np.float32), random.uniform(0.5, 2, ROWS).astype(np.float32)
    train = Interactions(Columns(user, item, label, weight, None, np.arange(ROWS)), USERS, ITEMS)
    holdout = Interactions(Columns(user[:0], item[:0], label[:0], weight[:0], None, NOTHING), USERS, ITEMS)
    return Dataset(train, holdout, Ids(map(str, range(USERS))), Ids(map(str, range(ITEMS))))


def problem(config: MFConfig, train: Interactions) -> Problem:
    ends = torch.from_numpy(np.stack([train.user, train.item + train.users], axis=1)).long()

    def scores(theta: Tensor, graph: Tensor) -> Tensor:
        user, item = theta[ends[:, 0]], theta[ends[:, 1]]
        score = (user[:, : config.rank] * item[:, : config.rank]).sum(1)
        return score + user[:, -1] + item[:, -1] if config.bias else score

    def cross_entropy(score: Tensor, label: Tensor) -> Tensor:
        return softplus(score) - label * score

    def half_square(score: Tensor, label: Tensor) -> Tensor:
        return (score - label) ** 2 / 2

    return Problem(
        rows=USERS + ITEMS,
        ends=ends,
        label=torch.from_numpy(train.label).double(),
        weight=torch.from_numpy(train.weight).double(),
        l2=config.l2,
        loss=cross_entropy if config.loss == "bce" else half_square,
        scores=scores,
    )


@pytest.fixture(scope="module", params=CASES.values(), ids=CASES)
def small(request: pytest.FixtureRequest) -> Small:
    config, data = request.param, dataset()
    return Small(config, data, ifru.train(data, [config]).parameters, problem(config, data.train))


def moved(engine: Engine, update: Answer) -> Tensor:
    """Rows of θ that an update moved and that have interactions left, ascending."""
    tables = update.parameters.tables
    rows = torch.cat([tables["user"][0], tables["item"][0] + USERS])
    return rows[engine.parameters.stacked()[rows].any(1)]


@pytest.mark.parametrize(("hops", "share"), [(0, 1.0), (1, 0.4)])
@pytest.mark.parametrize("seed", range(3))
def test_the_step_on_a_support_is_the_dense_one(small: Small, hops: int, share: float, seed: int) -> None:
    deletion = small.few(2, seed)
    engine = small.engine(support="k_hop", k_hop_hops=hops, k_hop_share=share, tolerance=1e-9)
    update = engine.apply(deletion)
    assert update.reason == "tolerance"
    support = moved(engine, update)
    torch.testing.assert_close(
        engine.parameters.stacked(), small.dense(deletion.train, support).theta, rtol=0, atol=1e-7
    )


def test_rows_that_lose_everything_are_zero_in_both(small: Small) -> None:
    engine = small.engine(support="k_hop", k_hop_hops=0, k_hop_share=1.0, tolerance=1e-9)
    user = int(np.argmin(small.dataset.train.user_degree))
    deletion = small.dataset.of_user(user)
    support = moved(engine, engine.apply(deletion))
    dense = small.dense(deletion.train, support)
    assert not dense.theta[user].any()
    assert not engine.parameters.user[user].any()
    assert not dense.debt[user].any()


@pytest.mark.parametrize("support", SUPPORTS)
def test_debt_and_residual_influence_are_those_of_the_formulas(small: Small, support: str) -> None:
    engine = small.engine(support=support, tolerance=0.1)
    deletion = small.few(4, seed=5)
    engine.apply(deletion)
    settled = engine.settle()
    theta, retained = engine.parameters.stacked(), torch.from_numpy(engine.dataset.train.alive)
    dense = small.dense(deletion.train, torch.empty(0, dtype=torch.int64))
    left = small.problem.gradient(theta, retained, retained)
    torch.testing.assert_close(engine.state.point.gradient, left, rtol=0, atol=1e-10)

    before = small.problem.energy(dense.theta, retained, dense.debt)
    exact = float((small.problem.energy(theta, retained, left) / before).sqrt())
    assert engine.carried.batch == pytest.approx(float(before), rel=1e-6)
    anew = Engine(small.config, engine.parameters, engine.dataset, engine.settings, carried=engine.carried)
    assert anew.settle().influence == pytest.approx(exact, rel=1e-6)
    # Blocks that an update has moved by less than a quarter are not built anew, and energies are measured in them.
    assert settled.influence == pytest.approx(exact, rel=0.1)


def test_refinement_pays_the_debt_of_the_formulas(small: Small) -> None:
    engine = small.engine(support="push", tolerance=0.5, refined=1e-6)
    dense = small.dense(small.few(4, seed=6).train, torch.empty(0, dtype=torch.int64))
    engine.apply(small.few(4, seed=6))
    while engine.refine() is not None:
        pass
    theta, retained = engine.parameters.stacked(), torch.from_numpy(engine.dataset.train.alive)
    assert small.problem.gradient(theta, retained, retained).norm() <= 1e-5 * dense.debt.norm()


def test_a_deletion_is_felt_directly_and_through_the_graph() -> None:
    train = dataset().train
    plain = problem(MFConfig(rank=3, l2=0.2), train)

    def averaged(theta: Tensor, graph: Tensor) -> Tensor:
        """Scores of rows that are averaged with those of their neighbours."""
        mean = torch.eye(len(theta), dtype=theta.dtype)
        mean = mean.index_put((plain.ends[:, 0], plain.ends[:, 1]), graph.to(theta))
        mean = mean.index_put((plain.ends[:, 1], plain.ends[:, 0]), graph.to(theta))
        return plain.scores(mean / mean.sum(1, keepdim=True) @ theta, graph)

    theta = torch.randn(USERS + ITEMS, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    deleted, nobody = torch.arange(ROWS) < 5, torch.empty(0, dtype=torch.int64)
    for scores, spills in ((plain.scores, False), (averaged, True)):
        model = replace(plain, scores=scores)
        update = influence_update(model, theta, torch.ones_like(deleted), deleted, nobody)
        torch.testing.assert_close(update.debt, model.gradient(theta, ~deleted, ~deleted))
        assert bool(update.spillover.any()) == spills
        assert bool(update.direct.any())
