"""Choosing among models by a validation split of the training rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ifru.errors import DataError
from ifru.interactions import Interactions
from ifru.interactions.table import Int64
from ifru.models import ModelConfig, model_of
from ifru.models.quality import auc, scores
from ifru.models.ranking import all_items, unseen_auc
from ifru.objective.parameters import Parameters
from ifru.training.newton import Plan, initial, minimise
from ifru.training.practised import validated
from ifru.training.validation import SHARE, validation_split

L2_GRID = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01)
"""Descending: the smaller λ, the longer training takes, and the search ends once AUC has fallen twice in a row."""

_PATIENCE = 2
_NOTHING = 1e-3
_PLAN = Plan(tolerance=1e-3, steps=30)
"""Scores rank the same long before the gradient vanishes."""


@dataclass(frozen=True)
class Selection:
    """The best of the models that were tried. tried: those models and their AUC on the validation rows, in order."""

    config: ModelConfig
    tried: tuple[tuple[ModelConfig, float], ...]


def select(
    train: Interactions,
    candidates: Sequence[ModelConfig],
    seed: int,
    device: torch.device,
    dtype: torch.dtype,
    report: Callable[[ModelConfig], None] = lambda config: None,
) -> Selection:
    """Train every candidate on nine tenths of the training rows, until two in a row are worse than the best.

    Deterministic under a seed. report: called before each. Raises DataError where the rows kept for validation
    cannot tell good from bad.
    """
    fitted, rows = validation_split(train, SHARE, seed)
    tried: list[tuple[ModelConfig, float]] = []
    best = 0
    for config in candidates:
        report(config)
        tried.append((config, _validated(config, fitted, rows, seed, device, dtype)))
        best = max(range(len(tried)), key=lambda n: tried[n][1])
        if len(tried) - 1 - best >= _PATIENCE:
            break
    return Selection(tried[best][0], tuple(tried))


def _validated(
    config: ModelConfig, fitted: Interactions, rows: Int64, seed: int, device: torch.device, dtype: torch.dtype
) -> float:
    if model_of(config).capabilities.response:
        found = validated(fitted, rows, config, seed=seed, device=device, dtype=dtype).auc
    else:
        found = _stationary_auc(config, fitted, rows, seed, device, dtype)
    if found is None:
        raise DataError(
            f"λ cannot be chosen by validation: the {len(rows):,} rows kept for it all have the same label; "
            "give --l2, or a label rule that divides the rows more evenly"
        )
    return found


def _stationary_auc(
    config: ModelConfig, fitted: Interactions, rows: Int64, seed: int, device: torch.device, dtype: torch.dtype
) -> float | None:
    objective = model_of(config).objective(fitted, device, dtype)
    parameters = minimise(objective, initial(objective, seed), _PLAN).parameters
    serving = model_of(config).serving(parameters, fitted)
    if model_of(config).capabilities.positives_only and len(np.unique(fitted.label[rows])) == 1:
        return _unseen_auc(config, serving, fitted, rows)
    score = scores(config, serving, fitted.user[rows], fitted.item[rows])
    # A penalty that shrinks every score to nothing ranks nothing: what is left there is only how far training got.
    return auc(np.where(np.abs(score) < _NOTHING, 0.0, score), fitted.label[rows])


def _unseen_auc(config: ModelConfig, serving: Parameters, fitted: Interactions, rows: Int64) -> float | None:
    """What stands for the AUC where all rows are positive; see `ifru.models.ranking.unseen_auc`."""
    kept, ranked = fitted.copy(), all_items(config, serving)
    kept.alive[:] = False
    kept.alive[rows] = True

    def known(users: Tensor) -> Tensor:
        found = ranked(users)
        return torch.where(found.abs() < _NOTHING, 0.0, found)

    return unseen_auc(known, fitted, kept)
