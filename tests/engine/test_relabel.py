"""Labels that are corrected: what that owes is exact, and paid off it is the model retrained with them."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import Tensor

from ifru.engine.engine import Engine
from ifru.engine.settings import EngineSettings
from ifru.interactions import Dataset, Deletion, NewLabels
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import Recorded, split
from ifru.kernels.dispatch import torch_only
from ifru.models import MFConfig, ModelConfig, model_of
from ifru.models.ials import IALSConfig
from ifru.models.lightgcn import LightGCNConfig
from ifru.models.quality import scores
from ifru.objective.parameters import Parameters
from ifru.training.newton import Plan, initial, minimise
from tests.models.modules import CPU, dense_system, module_config, objective_of, practised, ratings

NOTHING = np.empty(0, dtype=np.int64)
FAMILIES: list[ModelConfig] = [
    MFConfig(rank=3, l2=0.05),
    MFConfig(rank=3, l2=0.1, bias=True, loss="squared"),
    LightGCNConfig(rank=3, l2=0.02, layers=2),
    LightGCNConfig(rank=3, l2=0.02, layers=1, graph="all"),
    IALSConfig(rank=3, l2=2.0),
]


def data_for(config: ModelConfig) -> Dataset:
    random = np.random.default_rng(1)
    pairs = random.permutation(40 * 25)[:500]
    user, item = (pairs // 25).astype(np.int32), (pairs % 25).astype(np.int32)
    names = [f"u{n}" for n in range(40)], [f"i{n}" for n in range(25)]
    rule = "positive:0" if config.name == "ials" else "rating>=4"
    rating = 1 + 4.0 * ((random.normal(size=(40, 3)) @ random.normal(size=(3, 25)))[user, item] > 0)
    return split(Recorded(user, item, rating, None, *names), LabelRule.parse(rule), 0.2, 0)


def trained(config: ModelConfig, dataset: Dataset, start: Tensor | None = None) -> Tensor:
    objective = model_of(config).objective(dataset.train, CPU, torch.float64)
    plan = Plan() if start is None else Plan(sweeps=0)
    return minimise(objective, initial(objective, 0) if start is None else start, plan).theta


def with_labels(dataset: Dataset, new: NewLabels) -> Dataset:
    """The data as if they had been recorded so."""
    other = dataset.copy()
    other.train.label = other.train.label.copy()
    other.train.label[new.rows] = new.label
    return other


def some_labels(dataset: Dataset, count: int = 12, seed: int = 0) -> NewLabels:
    rows = np.sort(np.random.default_rng(seed).choice(len(dataset.train), count, replace=False))
    return NewLabels(rows, (1 - dataset.train.label[rows]).astype(np.float32))


@pytest.mark.parametrize("path", ["compiled", "torch"])
@pytest.mark.parametrize("config", FAMILIES, ids=lambda config: f"{config.name}-{config.loss}")
def test_new_labels_are_owed_exactly_and_paid_off_are_those_of_the_retrained_model(
    config: ModelConfig, path: str
) -> None:
    with torch_only() if path == "torch" else nullcontext():
        dataset = data_for(config)
        theta, new = trained(config, dataset), some_labels(dataset)
        anew = with_labels(dataset, new)
        gone = np.setdiff1d(np.arange(5, 9), new.rows)
        anew.train.delete(gone)
        parameters = Parameters.unstacked(theta.clone(), dataset.train.users)
        engine = Engine(config, parameters, dataset.copy(), EngineSettings(tolerance=0.3, refined=1e-7))
        update = engine.apply(Deletion(gone, NOTHING, new))
        engine.settle()
        objective = model_of(config).objective(anew.train, CPU, torch.float64)
        exact = objective.at(engine.state.point.theta).gradient
        torch.testing.assert_close(engine.state.point.gradient, exact, rtol=0, atol=1e-9)
        assert np.array_equal(update.deletion.train_labels.rows, new.rows)
        assert 0 < update.influence <= 0.3
        while engine.refine() is not None:
            pass
        target = trained(config, anew, theta)
        pairs = dataset.train.user, dataset.train.item
        tables = [
            model_of(config).serving(Parameters.unstacked(at, dataset.train.users), table)
            for at, table in ((theta, dataset.train), (engine.state.point.theta, anew.train), (target, anew.train))
        ]
        before, after, wanted = (torch.as_tensor(scores(config, each, *pairs)) for each in tables)
        assert float((after - wanted).norm() / (before - wanted).norm()) < 1e-4


def test_labels_of_a_response_are_owed_as_the_gradient_changes_and_answered_by_the_dense_system() -> None:
    dataset, config = ratings(), module_config()
    engine = Engine(config, practised(config, dataset), dataset.copy(), EngineSettings(tolerance=1e-6))
    before, new = engine.parameters.stacked().clone(), some_labels(dataset)
    plain, anew = objective_of(config, dataset), objective_of(config, with_labels(dataset, new))
    debt = anew.gradient(before) - plain.gradient(before)
    update = engine.apply(Deletion(NOTHING, NOTHING, new))
    assert update.influence <= 1e-6
    moved = (anew.ridge > 0)[:, None].expand_as(before).flatten()
    step = torch.linalg.solve(dense_system(before, anew)[moved][:, moved], debt.flatten()[moved])
    expected = before.flatten()
    expected[moved] -= step
    torch.testing.assert_close(engine.parameters.stacked(), expected.view(before.shape), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("support", ["auto", "residual", "push", "k_hop", "global"])
def test_every_support_answers_to_new_labels(support: str) -> None:
    config = FAMILIES[0]
    dataset = data_for(config)
    parameters = Parameters.unstacked(trained(config, dataset), dataset.train.users)
    engine = Engine(config, parameters, dataset, EngineSettings.model_validate({"support": support, "tolerance": 0.3}))
    update = engine.apply(Deletion(NOTHING, NOTHING, some_labels(dataset, 3)))
    assert len(update.parameters) > 0
    assert 0 < engine.settle().influence < 1


def test_labels_that_rows_have_already_change_nothing() -> None:
    config = FAMILIES[0]
    dataset = data_for(config)
    parameters = Parameters.unstacked(trained(config, dataset), dataset.train.users)
    engine = Engine(config, parameters, dataset, EngineSettings())
    rows = np.arange(5)
    update = engine.apply(Deletion(NOTHING, NOTHING, NewLabels(rows, dataset.train.label[rows].copy())))
    assert len(update.deletion) == 0
    assert update.reason == "nothing_to_move"
