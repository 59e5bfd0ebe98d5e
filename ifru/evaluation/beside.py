"""An update beside several retrains, for models of which retraining has no unique outcome.

There is no proof then, and no distance to 'the' retrained model. What can be said is whether the updated model could be
one of the retrained ones: by loss, AUC and NDCG@10, and by what an attack finds out. Axes: n pairs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np
import torch

from ifru.engine.settings import EngineSettings
from ifru.errors import IfruError
from ifru.evaluation.membership import Figure, calibrated, successes
from ifru.evaluation.verify import Pairs, Published, Scored, Seconds, Task, answered, compared, meant
from ifru.interactions import Columns, Dataset, Deletion, Interactions
from ifru.interactions.table import Bool
from ifru.models import ModelConfig, model_of
from ifru.models.quality import Float64, auc
from ifru.models.ranking import all_items, ndcg
from ifru.objective.losses import loss_of
from ifru.objective.parameters import Parameters
from ifru.requests import Request
from ifru.training import Report, fit, silent
from ifru.training.practised import tuned
from ifru.training.warm_up import warm_up

RETRAINS = 3
"""Retrained models that an update is held against at least."""

_OTHERS = 10_000
"""Held-out pairs at most that an attack has to tell forgotten ones from."""
_RANKED = 1 << 19
"""Pairs at most that are scored to rank items for the users of one set."""


@dataclass(frozen=True)
class Figures:
    """Of one model on one set of pairs: mean loss, AUC and NDCG@10; None where they are undefined.

    NDCG@10 ranks the set's positives among the items that their users have no other retained training rows with; of
    many users, a sample.
    """

    loss: float | None
    auc: float | None
    ndcg10: float | None


@dataclass(frozen=True)
class Version:
    """Figures of one model.

    forget: training rows that were deleted. neighbours: retained training rows of the same users or items, sampled.
    holdout: held-out rows that remain. attack: the share of the forgotten pairs that are told from held-out ones at
    1 % false positives; 0.01 is guessing; None where no rows are held out.
    """

    forget: Figures
    neighbours: Figures
    holdout: Figures
    attack: Figure | None


@dataclass(frozen=True)
class Beside:
    """What became of some requests, beside retrained models.

    before, after: the model as it was, and updated. retrained: from other seeds, without what was deleted. within:
    whether the loss on forgotten pairs after the update lies in the range of the retrained models, widened on either
    side by its own width. seconds.retrain: of one retrained model, on average. Other fields as in `Verification`.
    """

    requests: int
    unknown: int
    deletions: int
    method: str
    reason: str
    products: int
    residual_influence: float
    settled_influence: float
    before: Version
    after: Version
    retrained: tuple[Version, ...]
    within: bool
    seconds: Seconds


@dataclass(frozen=True)
class Again:
    """Models trained from scratch, and the seconds that one of them took."""

    models: Sequence[Scored]
    seconds: float


def verify_beside(
    config: ModelConfig,
    parameters: Parameters,
    dataset: Dataset,
    requests: Sequence[Request],
    *,
    debt: Parameters | None = None,
    published: Published | None = None,
    settings: EngineSettings | None = None,
    refine: bool = False,
    retrains: int = RETRAINS,
    device: torch.device | None = None,
    seed: int = 0,
    clock: Callable[[], float] = time.perf_counter,
    report: Report = silent,
) -> Beside:
    """Answer requests by one update, retrain several times without what they name, and compare. Changes nothing given.

    debt: what the version owes, as for `Engine`. Retraining is as the model was trained, else tuned first, which is not
    counted; from the seeds after `seed`. Other arguments as in `verify`. Raises IfruError where the requests name
    nothing, or everything, and for too few retrains.
    """
    if retrains < RETRAINS:
        raise IfruError(f"--retrains is {retrains}; allowed are numbers from {RETRAINS} on")
    device, dtype = device or torch.device("cpu"), parameters.computed_in
    task = Task(config, settings or EngineSettings(), refine, device, dtype, clock, report)
    deletion, unknown = meant(requests, dataset, config)
    if published is None:
        report("compiling", None)
        warm_up(config, device, (dtype,))
        published = answered(task, parameters, dataset, deletion, debt)
    left = dataset.copy()
    left.delete(deletion)
    again = retrained(task, left.train, retrains, seed)
    found = beside(config, parameters, dataset, deletion, published, again, seed)
    return replace(found, requests=len(requests), unknown=unknown)


def beside(
    config: ModelConfig,
    parameters: Parameters,
    dataset: Dataset,
    deletion: Deletion,
    published: Published,
    again: Again,
    seed: int,
) -> Beside:
    """What became of a deletion, which is one request here, beside models that were retrained without it."""
    left = dataset.copy()
    left.delete(deletion)
    models = [Scored.trained_on(dataset.train, config, parameters)]
    models.append(Scored.trained_on(left.train, config, published.parameters))
    sets = compared(dataset, deletion, left, seed)
    before, after, *others = _figures([*models, *again.models], sets, left.train, seed)
    return Beside(
        requests=1,
        unknown=0,
        deletions=len(deletion),
        method=published.method,
        reason=published.reason,
        products=published.products,
        residual_influence=published.residual_influence,
        settled_influence=published.settled_influence,
        before=before,
        after=after,
        retrained=tuple(others),
        within=_within(after, others),
        seconds=Seconds(published.update, published.settle, published.refine, again.seconds),
    )


def retrained(task: Task, train: Interactions, count: int, seed: int) -> Again:
    """Train some times as the model was trained, else as is tuned first, from the seeds after `seed`."""
    config = task.config
    if model_of(config).capabilities.response:
        config = tuned(train, config, seed=seed, device=task.device, dtype=task.dtype, report=task.report)
    found, marks = [], []
    for number in range(1, count + 1):
        task.report(f"retraining, {number} of {count}", None)
        start = task.clock()
        trained = fit(train, config, seed=seed + number, device=task.device, dtype=task.dtype)
        marks.append(task.clock() - start)
        found.append(Scored.trained_on(train, config, trained.parameters))
    return Again(found, fmean(marks))


def _figures(
    models: Sequence[Scored], sets: tuple[Pairs, Pairs, Pairs], train: Interactions, seed: int
) -> list[Version]:
    """Of the model before, the one after, and retrained ones, in this order."""
    random = np.random.default_rng(seed)
    others = random.permutation(len(sets[2].user))[:_OTHERS]
    targets = Pairs(
        np.concatenate([sets[0].user, sets[2].user[others]]),
        np.concatenate([sets[0].item, sets[2].item[others]]),
        np.concatenate([sets[0].label, sets[2].label[others]]),
    )
    member = np.arange(len(targets.user)) < len(sets[0].user)
    attacks = _attacks([_confidence(model, targets) for model in models], member, random)
    tables = [_ranking(pairs, train, random) for pairs in sets]
    found = []
    for model, attack in zip(models, attacks, strict=True):
        forget, neighbours, holdout = (_figures_of(model, *each) for each in zip(sets, tables, strict=True))
        found.append(Version(forget, neighbours, holdout, attack))
    return found


def _figures_of(model: Scored, pairs: Pairs, ranking: tuple[Interactions, Interactions]) -> Figures:
    score, label = model.scores(pairs), pairs.label
    if len(score) == 0:
        return Figures(None, None, None)
    loss = loss_of(model.config.loss).value(torch.from_numpy(score), torch.from_numpy(label))
    return Figures(float(loss.mean()), auc(score, label), ndcg(all_items(model.config, model.serving), *ranking))


def _ranking(pairs: Pairs, train: Interactions, random: np.random.Generator) -> tuple[Interactions, Interactions]:
    """The training rows without those of some pairs, and the pairs of as many users as can be ranked for."""
    users = np.unique(pairs.user)
    some = random.permutation(users)[: max(_RANKED // train.items, 1)]
    kept = np.isin(pairs.user, some)
    columns = Columns(
        user=pairs.user[kept],
        item=pairs.item[kept],
        label=pairs.label[kept],
        weight=np.ones(int(kept.sum()), dtype=np.float32),
        time=None,
        origin=np.arange(int(kept.sum())),
    )
    without = train.copy()
    ranked = pairs.user.astype(np.int64) * train.items + pairs.item
    without.delete(np.flatnonzero(np.isin(train.user.astype(np.int64) * train.items + train.item, ranked)))
    return without, Interactions(columns, train.users, train.items)


def _confidence(model: Scored, targets: Pairs) -> Float64:
    """How sure a model is of each target's label [T]: its logit, or minus its error where labels are no classes."""
    score, label = model.scores(targets), targets.label
    found: Float64 = -np.abs(score - label) if model.config.loss == "squared" else score * (2.0 * label - 1)
    return found


def _attacks(confidence: Sequence[Float64], member: Bool, random: np.random.Generator) -> Sequence[Figure | None]:
    """Each model's confidence [T] beside that of the retrained ones, which are all but the first two.

    A retrained model is held against the other ones; so that all attacks know as much, one is left out for the others
    too.
    """
    if member.all():
        return [None] * len(confidence)
    retrained = confidence[2:]
    beside = [retrained[1:]] * 2 + [[*retrained[:n], *retrained[n + 1 :]] for n in range(len(retrained))]
    ratios = {
        str(place): calibrated(of, np.stack(never_saw))
        for place, (of, never_saw) in enumerate(zip(confidence, beside, strict=True))
    }
    found = successes(ratios, member, "2", random)
    return [found[name].caught for name in ratios]


def _within(after: Version, retrained: Sequence[Version]) -> bool:
    losses = [each.forget.loss for each in retrained if each.forget.loss is not None]
    width = max(losses) - min(losses)
    return after.forget.loss is not None and min(losses) - width <= after.forget.loss <= max(losses) + width
