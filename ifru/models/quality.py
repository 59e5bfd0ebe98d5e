"""How well a model ranks pairs that it was not trained on.

Axes: n pairs.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from ifru.interactions import Dataset
from ifru.interactions.table import Int64
from ifru.models.config import ModelConfig
from ifru.models.model import Model, WithShared
from ifru.models.registry import model_of
from ifru.objective.parameters import Parameters

Float64 = NDArray[np.float64]

_PAIRS = 1 << 16
"""Pairs that are scored at a time: their rows take more memory than the tables."""


def scores(config: ModelConfig, serving: Parameters, user: NDArray[np.integer], item: NDArray[np.integer]) -> Float64:
    """s [n] of pairs given by row numbers, computed in the precision of the serving tables (`Model.serving`)."""
    device, model, out = serving.user.device, scorer(config, serving), np.empty(len(user))
    for first in range(0, len(user), _PAIRS):
        some = slice(first, first + _PAIRS)
        users, items = (torch.from_numpy(side[some].astype(np.int64)).to(device) for side in (user, item))
        out[some] = model.scores(serving.user[users], serving.item[items]).double().cpu().numpy()
    return out


def scorer(config: ModelConfig, serving: Parameters) -> Model:
    """The model that scores rows of the serving tables, with the shared weights that stand beside them."""
    model = model_of(config)
    return cast("WithShared", model).with_shared(serving.shared) if serving.shared else model


def holdout_auc(config: ModelConfig, parameters: Parameters, dataset: Dataset) -> float | None:
    """AUC of the held-out rows that are retained; None where they hold fewer than two different labels."""
    holdout, serving = dataset.holdout, model_of(config).serving(parameters, dataset.train)
    rows = np.flatnonzero(holdout.alive)
    return auc(scores(config, serving, holdout.user[rows], holdout.item[rows]), holdout.label[rows])


def auc(score: NDArray[np.floating], label: NDArray[np.floating]) -> float | None:
    """The probability that, of two pairs with different labels, the one with the higher label scores higher.

    score, label [n]; equal scores count half. With labels 0 and 1 that is the area under the ROC curve; with ratings
    it is the concordance index, its generalisation to any ordered labels. None where all labels are the same.
    """
    level, group = _ranks(label), _ranks(score)
    ties = _pairs(group) - _pairs(group * (int(level.max(initial=0)) + 1) + level)
    comparable = len(score) * (len(score) - 1) // 2 - _pairs(level)
    if comparable == 0:
        return None
    # Among equal scores the higher label comes first, so that no such pair counts as won.
    ordered = level[np.lexsort((-level, group))]
    return (_ascending_pairs(ordered) + ties / 2) / comparable


def _ranks(values: NDArray[np.floating]) -> Int64:
    """Values [n] as 0, 1, ...: equal ones alike, in ascending order."""
    return np.asarray(np.unique(values, return_inverse=True)[1], dtype=np.int64).reshape(-1)


def _pairs(key: Int64) -> int:
    """The number of pairs with the same key [n]."""
    count = np.unique(key, return_counts=True)[1].astype(np.int64)
    return int((count * (count - 1) // 2).sum())


def _ascending_pairs(level: Int64) -> int:
    """The number of pairs i < j with level [n] i < level j.

    Two levels differ first at some binary digit: for each digit, among those that agree in all higher ones, a 1 is
    ahead of every 0 before it. So binary labels take one pass, ratings from 1 to 5 three.
    """
    total = 0
    for digit in range(int(level.max(initial=0)).bit_length()):
        higher = level >> (digit + 1)
        order = np.argsort(higher, kind="stable")
        one = ((level[order] >> digit) & 1).astype(bool)
        zeros = np.cumsum(~one)
        first = np.searchsorted(higher[order], higher[order[one]])
        before = np.concatenate([[0], zeros])[first]
        total += int((zeros[one] - before).sum())
    return total
