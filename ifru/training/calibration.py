"""How much an update of a model trained as practised may move: the damping by which it predicts what it never saw.

Training that stops early holds rows back by more than the penalty says, and by how much nothing tells but data. Rows
that are deleted are then like held-out ones: the response to a deletion of training rows, drawn at random, has to
raise their loss by as much as held-out rows have more of it than training rows have. (By how much it rises differs far
less from row to row than the loss does.) The damping where it does so is found by bisection.
"""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
import torch

from ifru.engine.engine import Engine
from ifru.engine.settings import EngineSettings
from ifru.interactions import Dataset, Deletion, Interactions
from ifru.interactions.table import Int64
from ifru.models import model_of
from ifru.models.module import ModuleFamilyConfig
from ifru.models.quality import scores
from ifru.objective.losses import loss_of
from ifru.objective.parameters import Parameters

C = TypeVar("C", bound=ModuleFamilyConfig)

RANGE = (0.25, 256.0)
"""Damping is looked for between these."""

_STEPS = 5
"""Halvings of the range, which is of ten octaves: what is found is a sixth of one off."""

_ROWS, _SHARE = 10_000, 0.05
"""Training rows that are deleted on trial: so many, and no larger share of all."""

_FEWEST = 100
"""Held-out rows from which their loss says something."""

_SETTINGS = EngineSettings(tolerance=0.1)


def calibrated(config: C, parameters: Parameters, dataset: Dataset, seed: int) -> C:
    """The configuration with its damping found; as it is where too few rows are held out.

    Deterministic under a seed. Nothing is deleted from the data set itself.
    """
    holdout = np.flatnonzero(dataset.holdout.alive)
    retained = np.flatnonzero(dataset.train.alive)
    count = min(_ROWS, int(_SHARE * len(retained)))
    if len(holdout) < _FEWEST or count == 0:
        return config
    rows = np.sort(np.random.default_rng(seed).choice(retained, count, replace=False))
    before = _loss(config, parameters, dataset, dataset.train, rows)
    missing = _loss(config, parameters, dataset, dataset.holdout, holdout)
    missing -= _loss(config, parameters, dataset, dataset.train, retained)

    def rise(damping: float) -> float:
        trial = config.model_copy(update={"damping": damping})
        engine = Engine(trial, parameters, dataset.copy(), _SETTINGS)
        update = engine.apply(Deletion(rows, np.empty(0, dtype=np.int64)))
        if update.method == "global" and update.influence > _SETTINGS.tolerance:
            # The step was held back, because the model does not hold as far as that.
            return math.inf
        return _loss(config, engine.parameters, dataset, dataset.train, rows) - before

    low, high = (float(np.log2(end)) for end in RANGE)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        # The less damping, the further a deletion moves the model.
        low, high = (middle, high) if rise(2.0**middle) > missing else (low, middle)
    return config.model_copy(update={"damping": float(f"{2.0 ** ((low + high) / 2):.3g}")})


def _loss(
    config: ModuleFamilyConfig, parameters: Parameters, dataset: Dataset, table: Interactions, rows: Int64
) -> float:
    """Mean loss of some rows of a table."""
    serving = model_of(config).serving(parameters, dataset.train)
    score = torch.from_numpy(scores(config, serving, table.user[rows], table.item[rows]))
    label, weight = (torch.from_numpy(each[rows]).double() for each in (table.label, table.weight))
    return float((weight * loss_of(config.loss).value(score, label)).sum() / weight.sum())
