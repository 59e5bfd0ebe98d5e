"""How much of what retraining changes does an update leave undone? Found by retraining.

    left = ‖scores − retrained scores‖ / ‖original scores − retrained scores‖        over a set of pairs

0 is the retrained model, 1 is nothing forgotten. Axes: n pairs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from ifru.engine.engine import Engine
from ifru.engine.settings import EngineSettings
from ifru.errors import IfruError
from ifru.evaluation.quality import Float64, auc, scores
from ifru.evaluation.tightened import tightened
from ifru.interactions import Dataset, Deletion, Interactions
from ifru.interactions.table import Int32, Int64
from ifru.models import ModelConfig
from ifru.objective.parameters import Parameters
from ifru.requests import Request, resolve
from ifru.training import Report, fit, polish, silent
from ifru.training.warm_up import warm_up

NEIGHBOURS = 20_000
"""Neighbouring pairs that are compared at most."""


@dataclass(frozen=True)
class BySet:
    """One figure for each set of pairs; None where there are no pairs, or retraining changes none of their scores.

    forget: training rows that were deleted. neighbours: retained training rows of the same users or items, sampled.
    holdout: held-out rows that remain.
    """

    forget: float | None
    neighbours: float | None
    holdout: float | None


@dataclass(frozen=True)
class HoldoutAuc:
    """AUC on the held-out rows that remain: of the model as it was, updated, and retrained; None where undefined."""

    before: float | None
    after: float | None
    retrained: float | None


@dataclass(frozen=True)
class Seconds:
    """update: from the deletion to the new parameters. settle: making the debt exact, after it would be published.
    refine: what idle time would add; 0 where it was not asked for. retrain: training from scratch on what is left, in
    the precision of the update.
    """

    update: float
    settle: float
    refine: float
    retrain: float


@dataclass(frozen=True)
class Distance:
    """Root mean square, over all retained pairs, of the difference in prediction to the retrained model.

    true: measured. bound: proven, with the dual point of the retrained model where it is better than the version's own.
    Predictions are probabilities with the loss bce, scores with the loss squared.
    """

    true: float
    bound: float


@dataclass(frozen=True)
class Verification:
    """What became of some requests.

    unknown: requests that mean no row. deletions: training and held-out rows that they mean.
    left: what the update leaves. floor: the same, with training from another seed in place of the update.
    residual_influence: as published with the update; settled_influence: the exact value of what is left.
    """

    requests: int
    unknown: int
    deletions: int
    method: str
    reason: str
    left: BySet
    floor: BySet
    auc: HoldoutAuc
    residual_influence: float
    settled_influence: float
    rms: Distance
    seconds: Seconds


@dataclass(frozen=True)
class Published:
    """An answer to requests that was computed elsewhere: parameters, and what was said about them.

    residual_influence, settled_influence: as in `Verification`. seconds: what the update took.
    """

    tables: Parameters
    method: str
    reason: str
    residual_influence: float
    settled_influence: float
    seconds: float


@dataclass(frozen=True)
class _Pairs:
    """Row numbers of pairs [n]."""

    user: Int32
    item: Int32

    @staticmethod
    def of(table: Interactions, rows: Int64) -> _Pairs:
        return _Pairs(table.user[rows], table.item[rows])


@dataclass(frozen=True)
class _Model:
    """Parameters, and which rows had anything to learn from; a pair with one that had not scores 0."""

    config: ModelConfig
    tables: Parameters
    users: NDArray[np.bool_]
    items: NDArray[np.bool_]

    @staticmethod
    def trained_on(train: Interactions, config: ModelConfig, tables: Parameters) -> _Model:
        copy = tables.to("cpu", torch.float64, copy=True)
        return _Model(config, copy, train.user_degree > 0, train.item_degree > 0)

    def scores(self, pairs: _Pairs) -> Float64:
        known = self.users[pairs.user] & self.items[pairs.item]
        return np.where(known, scores(self.config, self.tables, pairs.user, pairs.item), 0.0)

    def predictions(self, pairs: _Pairs) -> Float64:
        score = self.scores(pairs)
        return score if self.config.loss == "squared" else np.exp(-np.logaddexp(0, -score))


@dataclass(frozen=True)
class _Task:
    """Everything that the parts of a verification share."""

    config: ModelConfig
    settings: EngineSettings
    refine: bool
    device: torch.device
    dtype: torch.dtype
    clock: Callable[[], float]
    report: Report


@dataclass(frozen=True)
class _Answer:
    """The update of all requests together. dataset: what it leaves. seconds: update, settle, refine."""

    method: str
    reason: str
    influence: float
    settled: float
    dataset: Dataset
    model: _Model
    seconds: tuple[float, float, float]


def verify(
    config: ModelConfig,
    tables: Parameters,
    dataset: Dataset,
    requests: Sequence[Request],
    *,
    published: Published | None = None,
    settings: EngineSettings | None = None,
    refine: bool = False,
    device: torch.device | None = None,
    seed: int = 0,
    clock: Callable[[], float] = time.perf_counter,
    report: Report = silent,
) -> Verification:
    """Answer requests by one update, retrain without what they name, and compare. Changes nothing that is given.

    published: an answer to compare in place of one that is computed here. refine: go on as idle time would, before
    comparing. seed: of the retraining (the second one takes the next seed), of the sample of neighbours, and of the
    proof.
    Raises IfruError where the requests name nothing, or everything.
    """
    device = device or torch.device("cpu")
    task = _Task(config, settings or EngineSettings(), refine, device, tables.user.dtype, clock, report)
    deletion, unknown = _meant(requests, dataset)
    if published is None:
        report("compiling", None)
        warm_up(config, device, (task.dtype,))
        answer = _answered(task, tables, dataset, deletion)
    else:
        answer = _taken(task, published, dataset, deletion)
    report("retraining", None)
    retrained, seconds = _retrained(task, answer.dataset.train, seed)
    report("retraining from another seed", None)
    other, _ = _retrained(task, answer.dataset.train, seed + 1)

    original = _Model.trained_on(dataset.train, config, tables)
    sets = _compared(dataset, deletion, answer.dataset, seed)
    label = answer.dataset.holdout.label[answer.dataset.holdout.alive]
    return Verification(
        requests=len(requests),
        unknown=unknown,
        deletions=len(deletion),
        method=answer.method,
        reason=answer.reason,
        left=BySet(*(_left(answer.model, original, retrained, pairs) for pairs in sets)),
        floor=BySet(*(_left(other, original, retrained, pairs) for pairs in sets)),
        auc=HoldoutAuc(*(auc(model.scores(sets[2]), label) for model in (original, answer.model, retrained))),
        residual_influence=answer.influence,
        settled_influence=answer.settled,
        rms=_distance(task, answer, retrained, seed),
        seconds=Seconds(*answer.seconds, seconds),
    )


def _meant(requests: Sequence[Request], dataset: Dataset) -> tuple[Deletion, int]:
    """The rows that requests name, and the number of requests that name none."""
    each = [resolve(request, dataset) for request in requests]
    meant = Deletion.union(each)
    if len(meant.train) == 0:
        raise IfruError(
            f"none of the {len(requests)} requests names a row that the model was trained on; "
            "check the ids, and whether the version still has them"
        )
    if len(meant.train) == dataset.train.retained:
        raise IfruError("the requests name every row that the model was trained on; nothing is left to retrain on")
    return meant, sum(len(deletion) == 0 for deletion in each)


def _answered(task: _Task, tables: Parameters, dataset: Dataset, deletion: Deletion) -> _Answer:
    task.report("updating", None)
    copy = Parameters.of(tables.user.to(task.device), tables.item.to(task.device))
    engine = Engine(task.config, copy, dataset.copy(), task.settings, task.device)
    marks = [task.clock()]
    update = engine.apply(deletion)
    marks.append(task.clock())
    settled = engine.settle()
    marks.append(task.clock())
    if task.refine:
        engine.refine()
        settled = engine.settle()
        marks.append(task.clock())
    spent = [after - before for before, after in pairwise(marks)]
    return _Answer(
        method=update.method,
        reason=update.reason,
        influence=update.influence,
        settled=settled.influence,
        dataset=engine.dataset,
        model=_Model.trained_on(engine.dataset.train, task.config, engine.parameters),
        seconds=(spent[0], spent[1], sum(spent[2:])),
    )


def _taken(task: _Task, published: Published, dataset: Dataset, deletion: Deletion) -> _Answer:
    left = dataset.copy()
    left.delete(deletion)
    return _Answer(
        method=published.method,
        reason=published.reason,
        influence=published.residual_influence,
        settled=published.settled_influence,
        dataset=left,
        model=_Model.trained_on(left.train, task.config, published.tables),
        seconds=(published.seconds, 0.0, 0.0),
    )


def _retrained(task: _Task, train: Interactions, seed: int) -> tuple[_Model, float]:
    """The model trained from scratch, and the seconds that took; then made exact in float64, which is not counted."""
    start = task.clock()
    fitted = fit(train, task.config, seed=seed, device=task.device, dtype=task.dtype, report=task.report)
    seconds = task.clock() - start
    theta = polish(train, task.config, fitted.theta).theta
    return _Model.trained_on(train, task.config, Parameters.unstacked(theta, train.users)), seconds


def _compared(before: Dataset, deletion: Deletion, after: Dataset, seed: int) -> tuple[_Pairs, _Pairs, _Pairs]:
    """Forgotten, neighbouring and held-out pairs."""
    train = after.train
    touched_users = np.zeros(train.users, dtype=bool)
    touched_items = np.zeros(train.items, dtype=bool)
    touched_users[before.train.user[deletion.train]] = True
    touched_items[before.train.item[deletion.train]] = True
    near = np.flatnonzero(train.alive & (touched_users[train.user] | touched_items[train.item]))
    if len(near) > NEIGHBOURS:
        near = np.random.default_rng(seed).choice(near, NEIGHBOURS, replace=False)
    return (
        _Pairs.of(before.train, deletion.train),
        _Pairs.of(train, near),
        _Pairs.of(after.holdout, np.flatnonzero(after.holdout.alive)),
    )


def _left(model: _Model, original: _Model, retrained: _Model, pairs: _Pairs) -> float | None:
    target = retrained.scores(pairs)
    whole = float(np.linalg.norm(original.scores(pairs) - target))
    return float(np.linalg.norm(model.scores(pairs) - target)) / whole if whole > 0 else None


def _distance(task: _Task, answer: _Answer, retrained: _Model, seed: int) -> Distance:
    train = answer.dataset.train
    pairs = _Pairs.of(train, np.flatnonzero(train.alive))
    true = float(np.sqrt(np.mean((answer.model.predictions(pairs) - retrained.predictions(pairs)) ** 2)))
    task.report("proving", None)
    random = torch.Generator().manual_seed(seed)
    found = tightened(answer.model.tables, train, task.config, random=random, solution=retrained.tables)
    return Distance(true, found.proof.rms_bound)
