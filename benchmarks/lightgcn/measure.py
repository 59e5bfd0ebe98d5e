"""Updates, direct influence alone, and three ways of retraining LightGCN, all on the same deletion.

Axes: R rows, K columns of a row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from benchmarks.base import CPU, Base
from benchmarks.cases import Case, build, describe
from benchmarks.engines import ready
from benchmarks.kept import Kept
from benchmarks.left import Left, auc_of, left, served
from benchmarks.lightgcn import practised
from benchmarks.methods.protocol import Budget
from benchmarks.timing import repeated
from ifru.curvature.preconditioner import whole
from ifru.engine.engine import Engine
from ifru.engine.settings import EngineSettings
from ifru.interactions import Interactions
from ifru.models import model_of
from ifru.models.ranking import all_items, ndcg
from ifru.objective import Objective
from ifru.objective.parameters import Parameters
from ifru.solvers.pcg import Limits, solve
from ifru.training import TOLERANCES, Plan, initial, minimise

BY_TOLERANCE = (0.7, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0005)
COARSE = (0.5, 0.1, 0.01)

GRAPH, DIRECT, UPDATE, REFINED = "the graph alone", "direct influence alone", "update", "update, refined"
WARM, SCRATCH, PRACTISED = "own trainer, warm", "own trainer from scratch", "retrained as practised"

_DIRECT_TOLERANCE = 0.1
"""Of the linear solve; on exact Hessians, which are not definite, solving further leaves more."""

_SEED = 1


@dataclass(frozen=True)
class Quality:
    """On the held-out pairs that are measured on and remain; None where they do not tell."""

    auc: float | None
    ndcg: float | None


@dataclass(frozen=True)
class Measured:
    """One way of forgetting. products: with the Hessian; None where they are not counted."""

    method: str
    label: str
    seconds: float
    products: int | None
    left: Left
    ndcg: float | None


@dataclass(frozen=True)
class Forgotten:
    """All that was measured of a case. curve: updates by tolerance. methods: what is compared, on the new graph."""

    case: str
    description: str
    deleted: int
    before: Quality
    exact: Quality
    curve: tuple[Measured, ...]
    methods: tuple[Measured, ...]

    @property
    def update(self) -> Measured:
        """The engine's, as it is by default."""
        return next(each for each in self.methods if each.method == UPDATE)


def measure(base: Base, name: str, budget: Budget, seed: int, kept: Kept) -> Forgotten:
    """Measure everything on one case. Raises IfruError for a case that is unknown or does not fit the data."""
    description = describe(name)
    budget.report(f"{description}: exact retraining", None)
    case = build(name, base, seed, kept)
    budget.report(f"{description}: updates", None)
    grid, default = COARSE if budget.coarse else BY_TOLERANCE, EngineSettings()
    curve = [updated(case, budget, EngineSettings(tolerance=tolerance)) for tolerance in grid]
    methods = [
        _measured(case, GRAPH, "no update", base.theta, 0.0),
        directly(case, budget),
        updated(case, budget, default),
        updated(case, budget, default, refine=True),
    ]
    budget.report(f"{description}: retraining", None)
    methods += [*by_own_trainer(case, budget), *as_practised(case, budget)]
    rows = case.held_out(base.test)
    before, exact = base.served(base.theta, base.train), served(case, case.exact)
    auc = partial(auc_of, table=base.dataset.holdout, rows=rows)
    return Forgotten(
        case=name,
        description=description,
        deleted=len(case.deletion.train),
        before=Quality(auc(before), _ndcg(case, before, base.train)),
        exact=Quality(auc(exact), _ndcg(case, exact, case.retained)),
        curve=tuple(curve),
        methods=tuple(methods),
    )


def updated(case: Case, budget: Budget, settings: EngineSettings, refine: bool = False) -> Measured:
    """The engine's update; refine: and what idle time makes of it."""

    def applied(engine: Engine) -> tuple[Engine, int]:
        updates = engine.apply(case.deletion), engine.refine() if refine else None
        return engine, sum(update.iterations for update in updates if update is not None)

    (engine, products), seconds = repeated(budget.clock, budget.repeats, lambda: ready(case.base, settings), applied)
    method, reached = (REFINED, settings.refined) if refine else (UPDATE, settings.tolerance)
    return _measured(case, method, f"tolerance {reached:g}", engine.parameters.stacked(), seconds, products)


def directly(case: Case, budget: Budget) -> Measured:
    """The influence of the deleted terms alone, as if the others did not see the graph change; one linear solve."""
    rows = np.arange(len(case.base.theta))

    def solved(table: Interactions) -> tuple[Tensor, int]:
        objective = model_of(case.base.config).objective(table, CPU, torch.float32)
        start = objective.at(case.base.theta.float())
        table.delete(case.deletion.train)
        change = objective.remove(start, case.deletion.train)
        point = change.point
        b = torch.zeros_like(point.theta).index_copy_(0, change.rows, -change.direct)
        b[objective.ridge == 0] = 0
        limits = Limits(_DIRECT_TOLERANCE, EngineSettings().products)
        solution = solve(lambda x, _: point.product(x), whole(point, rows).apply, b, limits)
        return point.theta + solution.x, solution.iterations

    (theta, products), seconds = repeated(budget.clock, budget.repeats, case.base.train.copy, solved)
    return _measured(case, DIRECT, f"solved to {_DIRECT_TOLERANCE:g}", theta, seconds, products)


def by_own_trainer(case: Case, budget: Budget) -> list[Measured]:
    """This project's trainer, from the base model and from scratch, in float32 as `ifru train` does."""
    objective = model_of(case.base.config).objective(case.retained, CPU, torch.float32)
    tolerance = TOLERANCES[torch.float32]
    starts: dict[str, tuple[Callable[[], Tensor], Plan]] = {
        WARM: (lambda: case.start(torch.float32), Plan(sweeps=0, tolerance=tolerance)),
        SCRATCH: (lambda: initial(objective, _SEED), Plan(tolerance=tolerance)),
    }
    found = []
    for method, (start, plan) in starts.items():
        theta, seconds = repeated(budget.clock, budget.repeats, start, partial(_minimised, objective, plan))
        found.append(_measured(case, method, f"gradient norm {tolerance:g}", theta, seconds))
    return found


def as_practised(case: Case, budget: Budget) -> list[Measured]:
    """Mini-batch Adam from scratch, at its best epoch; none where its time ends before."""
    *_, last = [None, *practised.run(case, budget)]
    return [] if last is None else [_measured(case, PRACTISED, last.label, last.theta, last.seconds)]


def _minimised(objective: Objective, plan: Plan, theta: Tensor) -> Tensor:
    return minimise(objective, theta, plan).theta


def _measured(
    case: Case, method: str, label: str, theta: Tensor, seconds: float, products: int | None = None
) -> Measured:
    found = _ndcg(case, served(case, theta), case.retained)
    return Measured(method, label, seconds, products, left(case, theta), found)


def _ndcg(case: Case, rows: Tensor, train: Interactions) -> float | None:
    """NDCG@10 of rows [R, K] that score pairs, on the held-out pairs that are measured on and remain."""
    holdout = case.base.dataset.holdout.copy()
    holdout.delete(np.setdiff1d(np.arange(len(holdout)), case.held_out(case.base.test)))
    return ndcg(all_items(case.base.config, Parameters.unstacked(rows, train.users)), train, holdout)
