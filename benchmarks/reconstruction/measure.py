"""The attack on batches of every size.

Axes: R rows, K columns of a row, m deleted pairs, U users, I items.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmarks.base import Base, scratch
from benchmarks.cases import NOTHING, drawn, recorded
from benchmarks.engines import ready
from benchmarks.kept import Kept
from benchmarks.reconstruction.evidence import from_data, from_versions
from benchmarks.reconstruction.pursuit import by_score, pursue
from ifru.engine.settings import EngineSettings
from ifru.interactions import Deletion, Interactions
from ifru.training import Report

SIZES = (1, 3, 10, 30, 100, 300, 1000)
QUICK_SIZES = (1, 10, 100)

LOOSE = EngineSettings(tolerance=0.3, support="residual")

SEEN = {
    "update": "updates as published",
    "loose": f"updates at tolerance {LOOSE.tolerance:g}, residual support",
    "refined": "updates, refined",
    "retrained": "retraining from scratch",
    "data": "the older version and the data that the newer one retains",
}
"""What the attacker has: two consecutive versions by one of these, or an old version and data."""

_PAIRS = 100
_REPEATS = (2, 20)


@dataclass(frozen=True)
class Measured:
    """One attack. found, by_score: share of the deleted pairs among as many candidates, by the pursuit and by the
    change of the score alone; chance: of as many random pairs. by_score is None where there is no newer version.
    """

    batch: int
    repeat: int
    seen: str
    found: float
    by_score: float | None
    chance: float


def measure(base: Base, sizes: Sequence[int], seed: int, kept: Kept, report: Report) -> Iterator[Measured]:
    """Batches of random interactions, the small ones more often; deterministic under a seed.

    Raises IfruError where a batch is larger than the data.
    """
    runs = [(size, repeat) for size in sizes for repeat in range(repeats(size))]
    for done, (size, repeat) in enumerate(runs):
        report(f"batch of {size}, {repeat + 1} of {repeats(size)}", done / len(runs))
        rows = drawn(recorded(base.train), size, np.random.default_rng([seed, size, repeat]))
        deletion = Deletion(base.train.with_companions(rows), NOTHING)
        yield from _attacked(base, size, repeat, deletion, seed, kept)


def repeats(size: int) -> int:
    """How often a batch size is tried: about 100 deleted pairs together, at most 20 times and at least twice."""
    least, most = _REPEATS
    return max(least, min(most, _PAIRS // size))


def _attacked(base: Base, size: int, repeat: int, deletion: Deletion, seed: int, kept: Kept) -> Iterator[Measured]:
    train, users = base.train, base.train.users
    pairs = _pairs(train, deletion)
    before = base.theta.float()
    retained = train.copy()
    retained.delete(deletion.train)

    def measured(seen: str, candidates: Tensor, naive: Tensor | None) -> Measured:
        hit = None if naive is None else _share(naive, pairs)
        return Measured(size, repeat, seen, _share(candidates, pairs), hit, len(pairs) / (users * train.items))

    for seen, after in _versions(base, deletion, retained, seed, kept):
        found = pursue(from_versions(before, after, users, base.config), len(pairs))
        yield measured(seen, found, by_score(before, after, users, len(pairs)))
    known = torch.zeros(users, train.items, dtype=torch.bool)
    known[train.user[retained.alive], train.item[retained.alive]] = True
    yield measured("data", pursue(from_data(before, retained, base.config), len(pairs), known), None)


def _versions(
    base: Base, deletion: Deletion, retained: Interactions, seed: int, kept: Kept
) -> Iterator[tuple[str, Tensor]]:
    """The newer version [R, K] by every way of making it, in the precision in which it is published."""
    engines = {name: ready(base, settings) for name, settings in (("update", EngineSettings()), ("loose", LOOSE))}
    for name, engine in engines.items():
        engine.apply(deletion)
        yield name, engine.parameters.stacked()
    engines["update"].refine()
    yield "refined", engines["update"].parameters.stacked()
    yield "retrained", scratch(base, retained, deletion.train, seed + 1, kept).float()


def _pairs(train: Interactions, deletion: Deletion) -> set[tuple[int, int]]:
    rows = deletion.train
    return set(zip(train.user[rows].tolist(), train.item[rows].tolist(), strict=True))


def _share(candidates: Tensor, pairs: set[tuple[int, int]]) -> float:
    return sum((user, item) in pairs for user, item in candidates.tolist()) / len(pairs)
