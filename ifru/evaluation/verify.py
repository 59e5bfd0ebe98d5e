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
from ifru.evaluation.target import Retrained, begins_from, retrain
from ifru.evaluation.tightened import tightened
from ifru.interactions import Dataset, Deletion, Interactions
from ifru.interactions.table import Float32, Int32, Int64
from ifru.models import ModelConfig, model_of
from ifru.models.proving import prove, prove_by
from ifru.models.quality import Float64, auc, scores
from ifru.models.ranking import all_items, ndcg
from ifru.objective.parameters import Parameters
from ifru.requests import Request, refusal, resolve
from ifru.training import PROVEN, Report, silent
from ifru.training.warm_up import warm_up

NEIGHBOURS = 20_000
"""Neighbouring pairs that are compared at most."""


@dataclass(frozen=True)
class BySet:
    """One figure for each set of pairs; None where there are no pairs, or retraining changes none of their scores.

    forget: training rows that were deleted, or got another label. neighbours: retained training rows of the same users
    or items, sampled. holdout: held-out rows that remain.
    """

    forget: float | None
    neighbours: float | None
    holdout: float | None


@dataclass(frozen=True)
class Quality:
    """Of the model as it was, updated, and retrained, on the held-out rows that remain; None where it is undefined."""

    before: float | None
    after: float | None
    retrained: float | None


@dataclass(frozen=True)
class Seconds:
    """update: from the deletion to the new parameters. settle: making the debt exact, after it would be published.
    refine: what idle time would add; 0 where it was not asked for. retrain: training on what is left, in the precision
    of the update; from the base or from scratch, as `Verification.warm` says.
    """

    update: float
    settle: float
    refine: float
    retrain: float


@dataclass(frozen=True)
class Distance:
    """Root mean square, over all retained pairs, of the difference in prediction to the retrained model.

    true: measured. bound: proven, with the dual point of the retrained model where it is better than the version's own;
    None where the model has no proof. Predictions are probabilities with the loss bce, scores with the loss squared;
    with the loss bpr they are probabilities that a positive is preferred to a negative of its, over all such pairs.
    """

    true: float
    bound: float | None


@dataclass(frozen=True)
class Verification:
    """What became of some requests.

    unknown: requests that mean no row. deletions: training and held-out rows that they mean.
    left: what the update leaves. floor: the same, with training from another seed in place of the update; nothing but
    None where it was not asked for. warm: whether the retrained model was trained on from the base, and is proven
    optimal; else it was trained from scratch.
    residual_influence: as published with the update; settled_influence: the exact value of what is left. products: with
    the Hessian, refinement included. auc, and ndcg10 over all items without those that the user has rows with.
    """

    requests: int
    unknown: int
    deletions: int
    method: str
    reason: str
    products: int
    left: BySet
    floor: BySet
    warm: bool
    auc: Quality
    ndcg10: Quality
    residual_influence: float
    settled_influence: float
    rms: Distance
    seconds: Seconds


@dataclass(frozen=True)
class Published:
    """An answer to requests: parameters, and what was said about them.

    products, residual_influence, settled_influence: as in `Verification`. update, settle, refine: as in `Seconds`.
    """

    parameters: Parameters
    method: str
    reason: str
    products: int
    residual_influence: float
    settled_influence: float
    update: float
    settle: float = 0.0
    refine: float = 0.0


@dataclass(frozen=True)
class Pairs:
    """Row numbers and labels of pairs [n]."""

    user: Int32
    item: Int32
    label: Float32

    @staticmethod
    def of(table: Interactions, rows: Int64) -> Pairs:
        return Pairs(table.user[rows], table.item[rows], table.label[rows])


@dataclass(frozen=True)
class Scored:
    """Parameters, the tables that score, and which rows had anything to learn from; a pair with one that had not: 0."""

    config: ModelConfig
    parameters: Parameters
    serving: Parameters
    users: NDArray[np.bool_]
    items: NDArray[np.bool_]

    @staticmethod
    def trained_on(train: Interactions, config: ModelConfig, parameters: Parameters) -> Scored:
        copy = parameters.to("cpu", torch.float64, copy=True)
        serving = model_of(config).serving(copy, train)
        return Scored(config, copy, serving, train.user_degree > 0, train.item_degree > 0)

    def scores(self, pairs: Pairs) -> Float64:
        known = self.users[pairs.user] & self.items[pairs.item]
        return np.where(known, scores(self.config, self.serving, pairs.user, pairs.item), 0.0)

    def predictions(self, train: Interactions) -> Float64:
        """Of the retained training rows; of the comparisons among them where the loss is bpr."""
        rows = np.flatnonzero(train.alive)
        if self.config.loss == "bpr":
            rows = rows[~train.recorded[rows] & train.alive[train.origin[rows]]]
        score = self.scores(Pairs.of(train, rows))
        if self.config.loss == "bpr":
            score = self.scores(Pairs.of(train, train.origin[rows])) - score
        return score if self.config.loss == "squared" else torch.from_numpy(score).sigmoid().numpy()


@dataclass(frozen=True)
class Task:
    """Everything that the parts of a verification share."""

    config: ModelConfig
    settings: EngineSettings
    refine: bool
    device: torch.device
    dtype: torch.dtype
    clock: Callable[[], float]
    report: Report


def verify(
    config: ModelConfig,
    parameters: Parameters,
    dataset: Dataset,
    requests: Sequence[Request],
    *,
    published: Published | None = None,
    settings: EngineSettings | None = None,
    refine: bool = False,
    floor: bool = False,
    device: torch.device | None = None,
    seed: int = 0,
    clock: Callable[[], float] = time.perf_counter,
    report: Report = silent,
) -> Verification:
    """Answer requests by one update, retrain without what they name, and compare. Changes nothing that is given.

    published: an answer to compare in place of one that is computed here. refine: go on as idle time would, before
    comparing. floor: retrain from scratch, twice; without it once, and on from the base where the retrained model is
    proven optimal then. seed: of the retraining (the second one takes the next seed), of the sample of neighbours, and
    of the proof.
    Raises IfruError where the requests name nothing, or everything.
    """
    device = device or torch.device("cpu")
    dtype = parameters.computed_in
    task = Task(config, settings or EngineSettings(), refine, device, dtype, clock, report)
    deletion, unknown = meant(requests, dataset, config)
    if published is None:
        report("compiling", None)
        warm_up(config, device, (dtype,))
        published = answered(task, parameters, dataset, deletion)
    left = dataset.copy()
    left.delete(deletion)
    original = Scored.trained_on(dataset.train, config, parameters)
    answer = Scored.trained_on(left.train, config, published.parameters)
    target, distance = _target(task, parameters, dataset.train, left.train, answer, seed, floor)
    retrained = Scored.trained_on(left.train, config, target.parameters)

    sets, versions = compared(dataset, deletion, left, seed), (original, answer, retrained)
    label = left.holdout.label[left.holdout.alive]
    return Verification(
        requests=len(requests),
        unknown=unknown,
        deletions=len(deletion),
        method=published.method,
        reason=published.reason,
        products=published.products,
        left=BySet(*(_left(answer, original, retrained, pairs) for pairs in sets)),
        floor=_floor(task, left.train, original, retrained, sets, seed + 1) if floor else BySet(None, None, None),
        warm=target.warm,
        auc=Quality(*(auc(model.scores(sets[2]), label) for model in versions)),
        ndcg10=Quality(*(ndcg(all_items(config, model.serving), left.train, left.holdout) for model in versions)),
        residual_influence=published.residual_influence,
        settled_influence=published.settled_influence,
        rms=distance,
        seconds=Seconds(published.update, published.settle, published.refine, target.seconds),
    )


def meant(requests: Sequence[Request], dataset: Dataset, config: ModelConfig) -> tuple[Deletion, int]:
    """The rows that requests name, and the number of requests that name none.

    Raises RequestError for one that the data has no answer to, IfruError where they name nothing, or everything.
    """
    for request in requests:
        if (error := refusal(request, dataset, config)) is not None:
            raise error
    each = [resolve(request, dataset) for request in requests]
    meant = Deletion.union(each)
    if len(meant.train) + len(meant.train_labels) == 0:
        raise IfruError(
            f"none of the {len(requests)} requests names a row that the model was trained on; "
            "check the ids, and whether the version still has them"
        )
    if len(meant.train) == dataset.train.retained:
        raise IfruError("the requests name every row that the model was trained on; nothing is left to retrain on")
    return meant, sum(len(deletion) == 0 for deletion in each)


def answered(
    task: Task, parameters: Parameters, dataset: Dataset, deletion: Deletion, debt: Parameters | None = None
) -> Published:
    """The update of all requests together. debt: as for `Engine`."""
    task.report("updating", None)
    engine = Engine(task.config, parameters, dataset.copy(), task.settings, task.device, debt=debt)
    marks = [task.clock()]
    update = engine.apply(deletion)
    marks.append(task.clock())
    settled = engine.settle()
    marks.append(task.clock())
    products = update.iterations
    if task.refine:
        refined = engine.refine()
        products += 0 if refined is None else refined.iterations
        settled = engine.settle()
        marks.append(task.clock())
    return Published(
        engine.parameters,
        update.method,
        update.reason,
        products,
        update.influence,
        settled.influence,
        *(after - before for before, after in pairwise(marks)),
    )


def _target(
    task: Task, base: Parameters, before: Interactions, train: Interactions, answer: Scored, seed: int, scratch: bool
) -> tuple[Retrained, Distance]:
    """The retrained model, and how far the answer is from it. scratch: whether it has to be trained from scratch."""
    if not scratch:
        task.report("proving the base", None)
        if begins_from(base, before, task.config, seed):
            target = _retrained(task, train, seed, "retraining from the base", base)
            distance, optimal = _distance(task, answer, target, train, seed)
            if optimal:
                return target, distance
    target = _retrained(task, train, seed, "retraining from scratch")
    return target, _distance(task, answer, target, train, seed)[0]


def _retrained(task: Task, train: Interactions, seed: int, what: str, base: Parameters | None = None) -> Retrained:
    return retrain(
        train,
        task.config,
        seed=seed,
        device=task.device,
        dtype=task.dtype,
        base=base,
        clock=task.clock,
        report=task.report,
        what=what,
    )


def _floor(
    task: Task, train: Interactions, original: Scored, retrained: Scored, sets: tuple[Pairs, Pairs, Pairs], seed: int
) -> BySet:
    other = _retrained(task, train, seed, "retraining from scratch, from another seed")
    model = Scored.trained_on(train, task.config, other.parameters)
    return BySet(*(_left(model, original, retrained, pairs) for pairs in sets))


def compared(before: Dataset, deletion: Deletion, after: Dataset, seed: int) -> tuple[Pairs, Pairs, Pairs]:
    """Forgotten or corrected, neighbouring and held-out pairs."""
    train = after.train
    touched_users = np.zeros(train.users, dtype=bool)
    touched_items = np.zeros(train.items, dtype=bool)
    changed = np.union1d(deletion.train, deletion.train_labels.rows)
    touched_users[before.train.user[changed]] = True
    touched_items[before.train.item[changed]] = True
    near = np.flatnonzero(train.alive & (touched_users[train.user] | touched_items[train.item]))
    if len(near) > NEIGHBOURS:
        near = np.random.default_rng(seed).choice(near, NEIGHBOURS, replace=False)
    return (
        Pairs.of(before.train, changed),
        Pairs.of(train, near),
        Pairs.of(after.holdout, np.flatnonzero(after.holdout.alive)),
    )


def _left(model: Scored, original: Scored, retrained: Scored, pairs: Pairs) -> float | None:
    target = retrained.scores(pairs)
    whole = float(np.linalg.norm(original.scores(pairs) - target))
    return float(np.linalg.norm(model.scores(pairs) - target)) / whole if whole > 0 else None


def _distance(task: Task, answer: Scored, target: Retrained, train: Interactions, seed: int) -> tuple[Distance, bool]:
    """How far an answer is from the retrained model, and whether that one is proven optimal."""
    exact = Scored.trained_on(train, task.config, target.parameters)
    true = float(np.sqrt(np.mean((answer.predictions(train) - exact.predictions(train)) ** 2)))
    if not model_of(task.config).capabilities.provable:
        return Distance(true, None), False
    task.report("proving", None)
    where, random = (train, task.config), torch.Generator().manual_seed(seed)
    solution = prove(target.parameters, *where, random=random)
    if solution.relative_gap <= PROVEN[torch.float64]:
        # Next to the optimum no other dual point is better.
        return Distance(true, prove_by(solution, answer.parameters, *where).rms_bound), True
    found = tightened(answer.parameters, *where, random=random, solution=solution)
    return Distance(true, found.proof.rms_bound), False
