"""Damping that is found by what an update predicts of deleted rows, beside what is known of held-out ones."""

from __future__ import annotations

import numpy as np

from ifru.engine.engine import Engine
from ifru.engine.settings import EngineSettings
from ifru.interactions import Dataset, Deletion
from ifru.models.module import ModuleConfig
from ifru.models.quality import scores
from ifru.objective.parameters import Parameters
from ifru.training.calibration import RANGE, calibrated
from tests.models.modules import module_config, practised, ratings


def _loss(config: ModuleConfig, parameters: Parameters, table: Dataset, side: str, rows: np.ndarray) -> float:
    part = getattr(table, side)
    score, label = scores(config, parameters, part.user[rows], part.item[rows]), part.label[rows]
    return float(np.mean(np.logaddexp(0, score) - label * score))


def test_deleted_rows_then_lose_what_held_out_rows_never_had() -> None:
    """Of rows that calibration did not see."""
    config, dataset = module_config(l2=0.005), ratings(400, 150, 12_000)
    parameters = practised(config, dataset)
    found = calibrated(config, parameters, dataset, seed=0)
    rows = np.sort(np.random.default_rng(9).choice(len(dataset.train), 400, replace=False))
    held_out = _loss(config, parameters, dataset, "holdout", np.flatnonzero(dataset.holdout.alive))
    before, after = [_loss(config, parameters, dataset, "train", rows)], []
    for damping in (found.damping, 0.0):
        trial = config.model_copy(update={"damping": damping})
        engine = Engine(trial, parameters, dataset.copy(), EngineSettings())
        engine.apply(Deletion(rows, np.empty(0, dtype=np.int64)))
        after.append(_loss(config, engine.parameters, dataset, "train", rows))
    assert RANGE[0] < found.damping < RANGE[1]
    assert before[0] < held_out
    assert abs(after[0] - held_out) < 0.3 * (held_out - before[0])
    assert abs(after[0] - held_out) < abs(after[1] - held_out)


def test_which_rows_are_drawn_hardly_matters() -> None:
    config, dataset = module_config(l2=0.005), ratings(400, 150, 12_000)
    parameters = practised(config, dataset)
    found = [calibrated(config, parameters, dataset, seed=seed).damping for seed in range(6)]
    assert max(found) <= 1.5 * min(found)


def test_it_is_the_same_under_a_seed_and_leaves_the_data_alone() -> None:
    config, dataset = module_config(l2=0.005), ratings()
    parameters = practised(config, dataset)
    found = [calibrated(config, parameters, dataset, seed=0) for _ in range(2)]
    assert found[0] == found[1]
    assert dataset.train.alive.all()


def test_without_held_out_rows_nothing_is_found() -> None:
    config, dataset = module_config(), ratings()
    dataset.holdout.delete(np.arange(len(dataset.holdout)))
    assert calibrated(config, practised(config, dataset), dataset, seed=0) == config
