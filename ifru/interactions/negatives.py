"""Sampled negatives: drawn once, stored with their positive, leaving with it."""

from __future__ import annotations

import numpy as np

from ifru.interactions.table import Columns, Int32


def draw_negatives(
    positives: Columns, known: tuple[Int32, Int32], items: int, each: int, random: np.random.Generator
) -> Columns:
    """Append `each` negatives to every positive [N]: items drawn uniformly among those its user never met.

    known: users and items of every recorded pair, held-out ones included. A user who met every item gets none.
    """
    recorded = np.unique(known[0].astype(np.int64) * items + known[1])
    met = np.bincount((recorded // items).astype(np.int64), minlength=int(positives.user.max(initial=0)) + 1)
    origin = np.repeat(np.flatnonzero(met[positives.user] < items), each)
    user = positives.user[origin]
    item = random.integers(0, items, size=len(origin), dtype=np.int32)
    again = np.arange(len(origin))
    while len(again):
        key = user[again].astype(np.int64) * items + item[again]
        found = np.searchsorted(recorded, key)
        again = again[recorded[np.minimum(found, len(recorded) - 1)] == key]
        item[again] = random.integers(0, items, size=len(again), dtype=np.int32)
    count = len(origin)
    return Columns(
        user=np.concatenate([positives.user, user]),
        item=np.concatenate([positives.item, item]),
        label=np.concatenate([positives.label, np.zeros(count, dtype=np.float32)]),
        weight=np.concatenate([positives.weight, np.ones(count, dtype=np.float32)]),
        time=None if positives.time is None else np.concatenate([positives.time, positives.time[origin]]),
        origin=np.concatenate([positives.origin, origin.astype(np.int64)]),
    )
