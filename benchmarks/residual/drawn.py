"""Random deletions of all kinds, and random promises to hold updates to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.base import Base
from benchmarks.cases import NOTHING, drawn, recorded
from benchmarks.engines import settings
from ifru.engine.settings import EngineSettings
from ifru.interactions import Dataset, Deletion
from ifru.interactions.table import Int64

TOLERANCES = (0.001, 0.7)

KINDS = ("rows", "users", "items", "sequence")

_MOST_ROWS = 300
_MOST_ENTITIES = 20
_MOST_BATCHES = 10
_SHARE = 50
"""At most one part in so many of what there is goes in one batch, so that small data sets last."""


@dataclass(frozen=True)
class Drawn:
    """Batches that are deleted one after the other, a sequence or a single one. kind: of KINDS."""

    kind: str
    batches: tuple[Deletion, ...]

    @property
    def union(self) -> Deletion:
        """Everything that is deleted."""
        return Deletion.union(self.batches)


def deletions(base: Base, random: np.random.Generator) -> Drawn:
    """A random deletion: up to 300 interactions, 20 users, 20 items, or 10 batches of these; small ones as likely."""
    dataset = base.dataset.copy()
    kind = str(random.choice(KINDS))
    number = 2 + int(random.integers(_MOST_BATCHES - 1)) if kind == "sequence" else 1
    batches = []
    for _ in range(number):
        of = str(random.choice(KINDS[:-1])) if kind == "sequence" else kind
        batches.append(dataset.delete(_batch(dataset, of, random)))
    return Drawn(kind, tuple(batches))


def promise(supports: Sequence[str], random: np.random.Generator) -> EngineSettings:
    """A random one of some supports, and a tolerance from 0.001 to 0.7, its logarithm uniform."""
    low, high = np.log(TOLERANCES)
    tolerance = float(np.exp(random.uniform(low, high)))
    return settings(str(random.choice(supports)), tolerance)


def _batch(dataset: Dataset, kind: str, random: np.random.Generator) -> Deletion:
    train = dataset.train
    if kind == "rows":
        rows = recorded(train)
        return Deletion(train.with_companions(_some(rows[train.alive[rows]], _MOST_ROWS, random)), NOTHING)
    degree, of = (train.user_degree, dataset.of_user) if kind == "users" else (train.item_degree, dataset.of_item)
    return Deletion.union(of(int(row)) for row in _some(np.flatnonzero(degree), _MOST_ENTITIES, random))


def _some(candidates: Int64, most: int, random: np.random.Generator) -> Int64:
    """At least one and at most so many, the logarithm of their number uniform."""
    most = max(1, min(most, len(candidates) // _SHARE))
    return drawn(candidates, int(np.exp(random.uniform(0, np.log(most + 1)))), random)
