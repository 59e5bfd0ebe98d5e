"""LightGCN by name: its configuration, what serves, and that it trains and forgets like any other model."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from pydantic import ValidationError
from torch import Tensor

from ifru.engine.engine import Engine
from ifru.engine.settings import EngineSettings
from ifru.interactions import Deletion, Interactions
from ifru.interactions.generated import generate
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import split
from ifru.models import config_of, model_of
from ifru.models.lightgcn import LightGCN, LightGCNConfig
from ifru.objective.parameters import Parameters
from ifru.training.newton import Plan, initial, minimise
from tests.objective.dense_reference import numerical
from tests.objective.graph_reference import (
    CPU,
    Problem,
    components,
    dense_table,
    plain_propagation,
    plain_scores,
    problems,
)


def test_a_configuration_is_read_by_its_models_name() -> None:
    config = config_of({"name": "lightgcn", "rank": 4, "l2": 0.1})
    assert config == LightGCNConfig(rank=4, l2=0.1, layers=2, graph="positives")
    assert isinstance(model_of(config), LightGCN)


@pytest.mark.parametrize("wrong", [{"layers": 0}, {"layers": 5}, {"graph": "negatives"}])
def test_a_configuration_out_of_range_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        config_of({"name": "lightgcn", "rank": 4, "l2": 0.1, **wrong})


@numerical
@given(problem=problems())
def test_serving_tables_score_as_the_parameters_do_through_the_graph(problem: Problem) -> None:
    table, model = problem.interactions, LightGCN(problem.config)
    served = model.serving(Parameters.unstacked(problem.theta, table.users), table)
    user, item = torch.from_numpy(table.user).long(), torch.from_numpy(table.item).long()
    expected = plain_scores(problem.theta, plain_propagation(problem, table), table)
    torch.testing.assert_close(model.scores(served.user[user], served.item[item]), expected, rtol=1e-8, atol=1e-8)


def test_parameters_are_laid_out_as_the_objective_has_them() -> None:
    model, table = LightGCN(LightGCNConfig(rank=4, l2=0.1)), components(3)
    assert model.objective(table, CPU, torch.float64).layout == model.layout(table.users, table.items)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_retrains_from_different_seeds_score_alike(layers: int) -> None:
    table = dense_table(40, 60)
    model = LightGCN(LightGCNConfig(rank=6, l2=0.02, layers=layers))
    objective = model.objective(table, CPU, torch.float64)
    served = []
    for seed in (0, 1):
        trained = minimise(objective, initial(objective, seed), Plan())
        tables = model.serving(Parameters.unstacked(trained.theta, table.users), table)
        served.append(tables.user @ tables.item.mT)
    assert float(served[0].norm()) > 1
    torch.testing.assert_close(*served, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("layers", [1, 2])
def test_a_refined_update_scores_like_the_retrained_model(layers: int, dtype: torch.dtype) -> None:
    dataset = split(generate(60, 60, 900, seed=0), LabelRule.parse("rating>=4"), 0.0, seed=0)
    model = LightGCN(LightGCNConfig(rank=8, l2=0.1, layers=layers))
    deletion = Deletion.union([dataset.of_user(3), Deletion(np.arange(100, 120), np.arange(0))])

    def trained(table: Interactions) -> Tensor:
        objective = model.objective(table, CPU, torch.float64)
        return minimise(objective, initial(objective, 0), Plan()).theta

    def scores(theta: Tensor, table: Interactions) -> Tensor:
        served = model.serving(Parameters.unstacked(theta.double(), table.users), table)
        return served.user @ served.item.mT

    base, before = trained(dataset.train.copy()), dataset.train.copy()
    engine = Engine(model.config, Parameters.unstacked(base.to(dtype), 60), dataset, EngineSettings(refined=1e-3))
    update = engine.apply(deletion)
    engine.refine()
    retrained = scores(trained(dataset.train.copy()), dataset.train)
    moved = float((scores(base, before) - retrained).norm())
    assert update.influence <= EngineSettings().tolerance
    assert float((scores(engine.state.point.theta, dataset.train) - retrained).norm()) < 0.02 * moved
    assert bool((engine.parameters.user[3] == 0).all())
