"""Damping by which an update predicts what a model says that was retrained without the deleted rows."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from ifru.engine.engine import Engine
from ifru.engine.settings import EngineSettings
from ifru.interactions import Dataset, Deletion, Interactions
from ifru.models.module import ModuleConfig
from ifru.models.quality import scores
from ifru.objective.parameters import Parameters
from ifru.training.calibration import RANGE, calibrated
from ifru.training.validation import validation_split
from tests.models.modules import module_config, practised, ratings


def _loss(config: ModuleConfig, parameters: Parameters, table: Interactions, rows: np.ndarray) -> float:
    score, label = scores(config, parameters, table.user[rows], table.item[rows]), table.label[rows]
    return float(np.mean(np.logaddexp(0, score) - label * score))


def _fit(left: Interactions, config: ModuleConfig, dataset: Dataset) -> Parameters:
    return practised(config, replace(dataset, train=left))


def _calibrated(config: ModuleConfig, parameters: Parameters, dataset: Dataset, seed: int = 0) -> ModuleConfig:
    return calibrated(config, parameters, dataset, partial(_fit, config=config, dataset=dataset), seed)


def test_deleted_rows_then_lose_what_a_model_never_had_that_was_trained_without_them() -> None:
    """Of rows that calibration did not see."""
    config, dataset = module_config(l2=0.005), ratings(400, 150, 12_000)
    parameters, train = practised(config, dataset), dataset.train
    found = _calibrated(config, parameters, dataset)
    left, rows = validation_split(train, 0.04, seed=9)
    before, retrained = (_loss(config, each, train, rows) for each in (parameters, _fit(left, config, dataset)))
    after = []
    for damping in (found.damping, 0.0):
        trial = config.model_copy(update={"damping": damping})
        engine = Engine(trial, parameters, dataset.copy(), EngineSettings())
        engine.apply(Deletion(rows, np.empty(0, dtype=np.int64)))
        after.append(_loss(config, engine.parameters, train, rows))
    assert RANGE[0] < found.damping < RANGE[1]
    assert before < retrained
    assert abs(after[0] - retrained) < 0.1 * (retrained - before)
    assert abs(after[0] - retrained) < abs(after[1] - retrained)


def test_which_rows_are_drawn_hardly_matters() -> None:
    config, dataset = module_config(l2=0.005), ratings(400, 150, 12_000)
    parameters = practised(config, dataset)
    found = [_calibrated(config, parameters, dataset, seed).damping for seed in range(6)]
    assert max(found) <= 2 * min(found)


def test_it_is_the_same_under_a_seed_and_leaves_the_data_alone() -> None:
    config, dataset = module_config(l2=0.005), ratings(150, 80, 2000)
    parameters = practised(config, dataset)
    found = [_calibrated(config, parameters, dataset) for _ in range(2)]
    assert found[0] == found[1]
    assert found[0].damping != config.damping
    assert dataset.train.alive.all()


def test_of_too_few_rows_nothing_is_found() -> None:
    config, dataset = module_config(), ratings()
    assert _calibrated(config, practised(config, dataset), dataset) == config
