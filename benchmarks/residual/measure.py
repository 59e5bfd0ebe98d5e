"""One deletion, answered under several promises: what each answer says of itself, and what it leaves.

    left = ‖scores − retrained scores‖ / ‖scores before the newest batch − retrained scores‖        over a set of pairs

As the residual influence is about the newest batch, so is this. Rows that lost all their interactions are zero in all
three models: forgetting them is exact, and would hide everything else.
Axes: R rows, K columns of a row, n pairs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmarks.base import Base
from benchmarks.cases import Case, retrained
from benchmarks.engines import ready
from benchmarks.kept import Kept
from benchmarks.left import scores, share
from benchmarks.residual.drawn import Drawn, deletions, promise
from ifru.engine.engine import Engine
from ifru.engine.settings import EngineSettings
from ifru.interactions import Interactions
from ifru.interactions.table import Int64
from ifru.models.proving import prove
from ifru.objective.parameters import Parameters
from ifru.proof import Dual
from ifru.training import Report

SETS = {
    "all": "all pairs of a user and an item that remain",
    "retained": "retained pairs",
    "forgotten": "forgotten pairs",
    "holdout": "held-out pairs",
}
"""Sets of pairs; the first is the headline."""


@dataclass(frozen=True)
class Truth:
    """The exact retrain of a deletion. bound: what is proven of itself. dual: its dual point."""

    case: Case
    bound: float
    dual: Dual


@dataclass(frozen=True)
class Measured:
    """One answer.

    deletion: number of what was deleted; kind, batches, deleted: of which kind, in how many batches, training rows.
    support, tolerance: what was asked for. method: what the engine did last.
    published, settled: residual influence of the newest batch, as published and as it is exactly.
    left: by set of pairs; None where retraining changes no score of it.
    rms: over retained pairs, of the difference in probability to the exact retrain. own, tightened: proven bounds on
    it, from the version's own dual point and from that of the exact retrain. floor: what is proven of that retrain.
    """

    deletion: int
    kind: str
    batches: int
    deleted: int
    support: str
    tolerance: float
    method: str
    published: float
    settled: float
    left: dict[str, float | None]
    rms: float
    own: float
    tightened: float
    floor: float


def measure(
    base: Base, number: int, versions: int, supports: Sequence[str], seed: int, kept: Kept, report: Report
) -> Iterator[Measured]:
    """Random deletions, each answered several times; deterministic under a seed."""
    for deletion in range(number):
        report(f"deletion {deletion + 1} of {number}", deletion / number)
        random = np.random.default_rng([seed, deletion])
        drawn = deletions(base, random)
        truth = _truth(base, drawn, seed, kept)
        for _ in range(versions):
            yield _answered(deletion, drawn, truth, promise(supports, random), seed)


def difference(one: Tensor, other: Tensor, users: int) -> float:
    """‖P Qᵀ − P' Q'ᵀ‖ over all pairs, of two stacked tables [R, K], without forming the matrices."""
    left, right = torch.cat([one[:users], other[:users]], 1), torch.cat([one[users:], -other[users:]], 1)
    return float((torch.linalg.qr(left).R @ torch.linalg.qr(right).R.T).norm())


def _truth(base: Base, drawn: Drawn, seed: int, kept: Kept) -> Truth:
    case = retrained(drawn.kind, base, drawn.union, kept)
    tables = Parameters.unstacked(case.exact, base.train.users)
    proof = prove(tables, case.retained, base.config, random=torch.Generator().manual_seed(seed))
    return Truth(case, proof.rms_bound, proof.dual)


def _answered(number: int, drawn: Drawn, truth: Truth, asked: EngineSettings, seed: int) -> Measured:
    case = truth.case
    base, users = case.base, case.base.train.users
    engine = ready(base, asked)
    for batch in drawn.batches[:-1]:
        engine.apply(batch)
    before = _without(engine.parameters, case.emptied)
    update = engine.apply(drawn.batches[-1])
    settled = engine.settle()
    after, exact = _without(engine.parameters, case.emptied), case.exact
    random = torch.Generator().manual_seed(seed)
    own = prove(engine.parameters, engine.dataset.train, base.config, random=random)
    tightened = prove(engine.parameters, engine.dataset.train, base.config, random=random, dual=truth.dual)
    whole = difference(before, exact, users)
    left = {"all": difference(after, exact, users) / whole if whole > 0 else None}
    for name, table, rows in _pairs(engine, drawn):
        left[name] = share([scores(theta, table, rows) for theta in (before, after, exact)])
    return Measured(
        deletion=number,
        kind=drawn.kind,
        batches=len(drawn.batches),
        deleted=len(drawn.union.train),
        support=asked.support,
        tolerance=asked.tolerance,
        method=update.method,
        published=update.influence,
        settled=settled.influence,
        left=left,
        rms=_rms(after, exact, engine.dataset.train),
        own=own.rms_bound,
        tightened=tightened.rms_bound,
        floor=truth.bound,
    )


def _without(tables: Parameters, emptied: Tensor) -> Tensor:
    """θ [R, K] in float64, with some rows set to zero."""
    theta = tables.stacked().double()
    theta[emptied] = 0
    return theta


def _pairs(engine: Engine, drawn: Drawn) -> Iterable[tuple[str, Interactions, Int64]]:
    train, holdout = engine.dataset.train, engine.dataset.holdout
    yield "retained", train, np.flatnonzero(train.alive)
    yield "forgotten", train, drawn.batches[-1].train
    yield "holdout", holdout, np.flatnonzero(holdout.alive)


def _rms(theta: Tensor, exact: Tensor, train: Interactions) -> float:
    rows = np.flatnonzero(train.alive & (train.weight > 0))
    one, other = (scores(each, train, rows).sigmoid() for each in (theta, exact))
    return float((one - other).square().mean().sqrt())
