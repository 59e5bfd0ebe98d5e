"""Sharded retraining: only the shards that hold deleted interactions are trained again.

Exact for the model of shards, which is another model than the one that is trained on everything: what that costs shows
in its AUC.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
import torch
from torch import Tensor

from benchmarks.base import Base
from benchmarks.cases import Case
from benchmarks.left import validation_auc
from benchmarks.methods import aggregation
from benchmarks.methods.early_stopping import EarlyStopping
from benchmarks.methods.partition import at_random, by_similarity
from benchmarks.methods.practised import PATIENCE
from benchmarks.methods.protocol import Budget, Point
from benchmarks.methods.shards import part_of, trained
from benchmarks.timing import Stopwatch
from ifru.interactions.table import Int64

SHARDS = 10
_SEED = 1


def sisa(case: Case, budget: Budget) -> Iterator[Point]:
    """One point: users in shards at random; a pair's score is averaged over the shards that know its user."""
    of_user = at_random(case.base.train.users, SHARDS, _SEED)
    parts, watch, again = _retrained(case, budget, of_user)
    # A shard that does not know a user has a zero row for it, so that side by side is the same as averaged.
    yield Point(watch.seconds, torch.cat(parts, dim=1), f"SISA, {SHARDS} shards", f"{again} shards trained again")


def receraser(case: Case, budget: Budget) -> Iterator[Point]:
    """One point: similar users together; the aggregation is trained again, too, as it has seen what is deleted."""
    embedding = case.base.theta[: case.base.train.users].numpy()
    of_user = by_similarity(embedding, SHARDS, _SEED)
    parts, watch, again = _retrained(case, budget, of_user)
    stopping, best, ends = EarlyStopping(PATIENCE), None, watch.seconds + budget.seconds
    for number, theta in enumerate(aggregation.epochs(parts, case.retained, watch, _SEED), 1):
        if stopping.improves(validation_auc(case, theta)):
            label = f"{again} shards trained again, aggregation for {number} epochs"
            best = Point(watch.seconds, theta, f"RecEraser, {SHARDS} shards", label)
        if stopping.over or watch.seconds > ends:
            break
    if best is not None:
        yield best


def _retrained(case: Case, budget: Budget, of_user: Int64) -> tuple[list[Tensor], Stopwatch, int]:
    """The shards' θ after the deletion, the time that takes, and the number of those that were trained again."""
    base, retained = case.base, case.retained
    parts = list(_before(base, tuple(of_user.tolist())))
    affected = np.unique(of_user[base.train.user[case.deletion.train]]).tolist()
    watch = Stopwatch(budget.clock)
    for number, shard in enumerate(affected):
        budget.report(f"training shard {shard}", number / len(affected))
        with watch:
            part = part_of(retained, of_user, shard)
            parts[shard] = trained(part, base.config, len(base.theta), _SEED)
    return parts, watch, len(affected)


@cache
def _before(base: Base, of_user: tuple[int, ...]) -> tuple[Tensor, ...]:
    """The shards' θ as they were before any deletion."""
    shard_of = np.array(of_user, dtype=np.int64)
    return tuple(
        trained(part_of(base.train, shard_of, shard), base.config, len(base.theta), _SEED) for shard in range(SHARDS)
    )
