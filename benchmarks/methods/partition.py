"""Users in shards: at random, or those with similar embeddings together.

Axes: U users, K columns of a row, S shards.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ifru.interactions.table import Int64

_ROUNDS = 50
_ROOM = 1.2
"""How much larger than the average a shard may become, as in RecEraser."""


def at_random(users: int, shards: int, seed: int) -> Int64:
    """The shard of each user [U]; sizes differ by one at most."""
    return np.random.default_rng(seed).permutation(np.arange(users) % shards)


def by_similarity(embedding: NDArray[np.float64], shards: int, seed: int) -> Int64:
    """The shard of each user [U], by balanced k-means on embeddings [U, K]."""
    random = np.random.default_rng(seed)
    centres = embedding[random.choice(len(embedding), shards, replace=False)]
    shard = np.full(len(embedding), -1, dtype=np.int64)
    for _ in range(_ROUNDS):
        before, shard = shard, _assigned(embedding, centres)
        if (shard == before).all():
            break
        centres = np.stack([embedding[shard == number].mean(0) for number in range(shards)])
    return shard


def _assigned(embedding: NDArray[np.float64], centres: NDArray[np.float64]) -> Int64:
    """Each user's nearest centre that has room, the nearest pairs of all first."""
    shards = len(centres)
    distance = (centres**2).sum(1) - 2 * embedding @ centres.T + (embedding**2).sum(1, keepdims=True)
    room = np.full(shards, int(np.ceil(_ROOM * len(embedding) / shards)))
    shard = np.full(len(embedding), -1, dtype=np.int64)
    for pair in np.argsort(distance, axis=None, kind="stable").tolist():
        user, number = divmod(pair, shards)
        if shard[user] < 0 and room[number] > 0:
            shard[user] = number
            room[number] -= 1
    return shard
