"""One kind of model and one deletion: an update beside retraining."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmarks.base import CPU, Base
from benchmarks.cases import Case, deletion_of, describe, retrained, to_retrain
from benchmarks.engines import ready
from benchmarks.kept import Kept
from benchmarks.left import Left, left
from benchmarks.methods.protocol import Budget
from benchmarks.models.families import Family
from benchmarks.timing import repeated
from ifru.engine.engine import Engine
from ifru.engine.settings import EngineSettings
from ifru.interactions import Interactions
from ifru.interactions.table import Int64
from ifru.models import model_of
from ifru.models.quality import auc, scores
from ifru.models.ranking import all_items, ndcg
from ifru.objective.losses import loss_of
from ifru.objective.parameters import Parameters
from ifru.training import fit

SEEDS = 3
"""Retrains of a model without a unique target: only their range says what an update should come to."""


@dataclass(frozen=True)
class Quality:
    """forgotten, holdout: loss per pair; None where there is none. auc, ndcg10: on held-out pairs that remain."""

    forgotten: float | None
    holdout: float | None
    auc: float | None
    ndcg10: float | None


@dataclass(frozen=True)
class Compared:
    """What was measured. left: None for models without a unique target; before, after, retrained tell then.

    retrained: one, or several from different seeds. products: with the Hessian. update, retrain: seconds, of the engine
    and of this project's own trainer. practised: seconds of retraining as practised; None where that is `retrain`, or
    where it was not done in time.
    """

    model: str
    rank: int
    l2: float
    case: str
    description: str
    deleted: int
    left: Left | None
    before: Quality
    after: Quality
    retrained: tuple[Quality, ...]
    products: int
    update: float
    retrain: float
    practised: float | None


def measure(base: Base, family: Family, name: str, budget: Budget, seed: int, kept: Kept) -> Compared:
    """Measure a base model on a case. Raises IfruError for a case that is unknown or does not fit the data."""
    config, description = base.config, describe(name)
    kind = config.name if config.loss != "bpr" else f"{config.name}, bpr"
    what = f"{kind}, {description}"
    deletion, unique = deletion_of(name, base, seed), model_of(config).capabilities.unique_target
    budget.report(f"{what}: updates", None)

    def applied(engine: Engine) -> tuple[Engine, int]:
        return engine, engine.apply(deletion).iterations

    (engine, products), update = repeated(budget.clock, budget.repeats, lambda: ready(base, EngineSettings()), applied)
    budget.report(f"{what}: retraining", None)
    case = retrained(name, base, deletion, kept) if unique else to_retrain(name, base, deletion)
    first, retrain = repeated(budget.clock, budget.repeats, lambda: None, lambda _: _fitted(case, seed))
    again = [case.exact] if unique else [first, *(_fitted(case, seed + after) for after in range(1, SEEDS))]
    theta = engine.parameters.stacked()
    return Compared(
        model=kind,
        rank=config.rank,
        l2=config.l2,
        case=name,
        description=description,
        deleted=len(deletion.train),
        left=left(case, theta) if unique else None,
        before=_quality(case, base.theta, base.train),
        after=_quality(case, theta, case.retained),
        retrained=tuple(_quality(case, each, case.retained) for each in again),
        products=products,
        update=update,
        retrain=retrain,
        practised=_practised(case, family, budget),
    )


def _fitted(case: Case, seed: int) -> Tensor:
    return fit(case.retained, case.base.config, seed=seed, device=CPU, dtype=torch.float32).theta


def _practised(case: Case, family: Family, budget: Budget) -> float | None:
    points: Sequence[float] = [] if family.practised is None else [at.seconds for at in family.practised(case, budget)]
    return points[-1] if points else None


def _quality(case: Case, theta: Tensor, train: Interactions) -> Quality:
    """Of θ [R, K], a model of some training rows."""
    base, rows = case.base, case.held_out(case.base.test)
    config, dataset = base.config, base.dataset
    serving = model_of(config).serving(base.parameters(theta.double()), train)
    holdout = dataset.holdout.copy()
    holdout.delete(np.setdiff1d(np.arange(len(holdout)), rows))
    found = scores(config, serving, holdout.user[rows], holdout.item[rows])
    return Quality(
        forgotten=_loss(base, serving, dataset.train, case.deletion.train),
        holdout=_loss(base, serving, dataset.holdout, rows),
        auc=auc(found, holdout.label[rows]),
        ndcg10=ndcg(all_items(config, serving), train, holdout),
    )


def _loss(base: Base, serving: Parameters, table: Interactions, rows: Int64) -> float | None:
    found = torch.from_numpy(scores(base.config, serving, table.user[rows], table.item[rows]))
    label = torch.from_numpy(table.label[rows]).double()
    return float(loss_of(base.config.loss).value(found, label).mean()) if len(rows) else None
