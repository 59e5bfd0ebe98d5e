"""An imported model as a base to delete from: its parameters as they are, or moved to a stationary point.

Axes: N recorded pairs, R rows of θ, K columns of a row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from ifru.curvature.preconditioner import whole
from ifru.errors import DataError
from ifru.importing.mapping import check_mapping
from ifru.interactions import Dataset
from ifru.interactions.dataset import Ids
from ifru.interactions.loading import Recorded
from ifru.interactions.negatives import draw_negatives
from ifru.interactions.table import Columns, Interactions
from ifru.models import ModelConfig, model_of
from ifru.models.quality import scores
from ifru.models.ranking import all_items, ndcg, unseen_auc
from ifru.objective import Linearised
from ifru.objective.parameters import Parameters
from ifru.training import Report, polish, silent, with_damping


@dataclass(frozen=True)
class Quality:
    """On the held-out rows; None where there are none. auc: as `unseen_auc` has it."""

    auc: float | None
    ndcg10: float | None


@dataclass(frozen=True)
class Base:
    """parameters: to publish. debt: zero where it is no stationary point, so that deletions are
    answered by a response; else None.

    gradient_norm: that of ∇L in the inverse diagonal blocks, in √L, of the model as it came, and of the base; None for
    models that are stationary nowhere.
    moved: root mean square, over the recorded pairs, of what polishing changed their scores by, as a share of that of
    the scores; 0 without. idle: rows without interactions, which are zero in the base. before, after: quality.
    """

    config: ModelConfig
    parameters: Parameters
    dataset: Dataset
    debt: Parameters | None
    gradient_norm: tuple[float, float] | None
    moved: float
    idle: int
    before: Quality
    after: Quality

    @property
    def reason(self) -> str:
        """Why its parameters are what they are."""
        return "imported" if self.debt is not None else "polished"


def base_of(
    config: ModelConfig,
    parameters: Parameters,
    dataset: Dataset,
    *,
    polished: bool,
    seed: int = 0,
    report: Report = silent,
) -> Base:
    """A base from parameters that were trained elsewhere, on `dataset.train`.

    Raises WrongMapping where its rows are not those of the data set's ids, and DataError where it is to be polished and
    has no stationary point to move to.
    """
    train, model = dataset.train, model_of(config)
    if polished and model.capabilities.response:
        raise DataError(f"{config.name} has no stationary point worth moving to; import it without --polish")
    pairs = train.user[train.alive], train.item[train.alive]
    liked = train.label[train.alive] > 0
    serving = model.serving(parameters, train)
    report("comparing ids and rows", None)
    check_mapping(
        lambda user, item: scores(config, serving, user, item),
        (train.users, train.items),
        pairs[0][liked],
        pairs[1][liked],
        np.random.default_rng(seed),
    )
    objective = model.objective(train, torch.device("cpu"), parameters.computed_in)
    theta = parameters.stacked().to(objective.dtype)
    idle = train.degree == 0
    theta[: len(idle)][torch.from_numpy(idle)] = 0
    kept = objective.layout.parameters(theta)
    config = with_damping(config, kept, dataset, seed, theta.device, theta.dtype, report)
    quality, count = _quality(config, kept, dataset), int(idle.sum())
    nothing = objective.layout.parameters(torch.zeros_like(theta))
    if objective.capabilities.response:
        return Base(config, kept, dataset, nothing, None, 0.0, count, quality, quality)
    point = objective.at(theta)
    norm = _norm(point)
    if not polished:
        return Base(config, kept, dataset, nothing, (norm, norm), 0.0, count, quality, quality)
    report("polishing", None)
    found = polish(train, config, theta)
    before, after = (scores(config, model.serving(each, train), *pairs) for each in (kept, found.parameters))
    moved = float(np.linalg.norm(after - before) / max(np.linalg.norm(before), np.finfo(float).tiny))
    norms = norm, found.gradient_norm / math.sqrt(found.objective)
    improved = _quality(config, found.parameters, dataset)
    return Base(config, found.parameters, dataset, None, norms, moved, count, quality, improved)


def data_of(
    recorded: Recorded,
    weight: NDArray[np.floating] | None,
    holdout: Recorded | None,
    negatives: int = 0,
    seed: int = 0,
) -> Dataset:
    """All recorded pairs as positives to train on, each once: their weights [N] add up, and the last time counts.

    holdout: pairs to test on, with the same ids. negatives: items that are drawn for each pair to train on.
    """
    shape = len(recorded.users), len(recorded.items)
    train = _columns(recorded, np.ones(len(recorded.user)) if weight is None else weight)
    if holdout is None:
        holdout = replace(recorded, user=recorded.user[:0], item=recorded.item[:0], time=None)
    tested = _columns(holdout, np.ones(len(holdout.user)))
    if negatives:
        known = np.concatenate([train.user, tested.user]), np.concatenate([train.item, tested.item])
        train = draw_negatives(train, known, shape[1], negatives, np.random.default_rng(seed))
    return Dataset(Interactions(train, *shape), Interactions(tested, *shape), Ids(recorded.users), Ids(recorded.items))


def _columns(recorded: Recorded, weight: NDArray[np.floating]) -> Columns:
    items = len(recorded.items)
    key = recorded.user.astype(np.int64) * items + recorded.item
    pair, place = np.unique(key, return_inverse=True)
    time = None
    if recorded.time is not None:
        time = np.full(len(pair), np.iinfo(np.int64).min)
        np.maximum.at(time, place, recorded.time)
    return Columns(
        user=(pair // items).astype(np.int32),
        item=(pair % items).astype(np.int32),
        label=np.ones(len(pair), dtype=np.float32),
        weight=np.bincount(place, weights=weight, minlength=len(pair)).astype(np.float32),
        time=time,
        origin=np.arange(len(pair)),
    )


def _norm(point: Linearised) -> float:
    """‖∇L‖ in the inverse diagonal blocks, in √L."""
    rows = np.arange(len(point.theta))
    return math.sqrt(float(whole(point, rows).decrements(point.gradient).sum()) / point.value)


def _quality(config: ModelConfig, parameters: Parameters, dataset: Dataset) -> Quality:
    holdout, serving = dataset.holdout, model_of(config).serving(parameters, dataset.train)
    ranked = all_items(config, serving)
    return Quality(unseen_auc(ranked, dataset.train, holdout), ndcg(ranked, dataset.train, holdout))
