"""How much an update of a model trained as practised may move: the damping by which it predicts a retrained model.

Training that stops early holds rows back by more than the penalty says, and by how much nothing tells but training. So
some training rows are deleted on trial, and the model is retrained once without them: the response to the deletion has
to raise their loss to what the retrained model has. The damping where it does is found by bisection.
"""

from __future__ import annotations

import math
from collections.abc import Callable
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
from ifru.training.validation import validation_split

C = TypeVar("C", bound=ModuleFamilyConfig)

RANGE = (0.25, 256.0)
"""Damping is looked for between these."""

_STEPS = 5
"""Halvings of the range, which is of ten octaves: what is found is a sixth of one off."""

_ROWS, _SHARE = 10_000, 0.05
"""Rows that are deleted on trial: so many, and no larger share of all."""

_FEWEST = 50
"""Deleted rows from which their loss says something."""

_SETTINGS = EngineSettings(tolerance=0.1)


def calibrated(
    config: C, parameters: Parameters, dataset: Dataset, fit: Callable[[Interactions], Parameters], seed: int
) -> C:
    """The configuration with its damping found; as it is where there are too few rows.

    fit(interactions): the model as it was trained, on other rows. Nothing is deleted from the data set itself.
    """
    retained = dataset.train.retained
    left, rows = validation_split(dataset.train, min(_SHARE, _ROWS / max(retained, 1)), seed + 1)
    if len(rows) < _FEWEST:
        return config
    wanted = _loss(config, fit(left), dataset.train, rows)

    def reached(damping: float) -> float:
        trial = config.model_copy(update={"damping": damping})
        engine = Engine(trial, parameters, dataset.copy(), _SETTINGS)
        update = engine.apply(Deletion(rows, np.empty(0, dtype=np.int64)))
        if update.method == "global" and update.influence > _SETTINGS.tolerance:
            # The step was held back, because the model does not hold as far as that.
            return math.inf
        return _loss(config, engine.parameters, dataset.train, rows)

    low, high = (float(np.log2(end)) for end in RANGE)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        # The less damping, the further a deletion moves the model.
        low, high = (middle, high) if reached(2.0**middle) > wanted else (low, middle)
    return config.model_copy(update={"damping": float(f"{2.0 ** ((low + high) / 2):.3g}")})


def _loss(config: ModuleFamilyConfig, parameters: Parameters, table: Interactions, rows: Int64) -> float:
    """Mean loss of some rows of a table."""
    serving = model_of(config).serving(parameters, table)
    score = torch.from_numpy(scores(config, serving, table.user[rows], table.item[rows]))
    label, weight = (torch.from_numpy(each[rows]).double() for each in (table.label, table.weight))
    return float((weight * loss_of(config.loss).value(score, label)).sum() / weight.sum())
