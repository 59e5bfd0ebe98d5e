"""A generated data set that looks like ratings: power-law degrees, low-rank taste, noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ifru.errors import DataError
from ifru.interactions.loading import Recorded

_RANK = 8
_START = 1_700_000_000
_YEAR = 365 * 24 * 3600


def generate(users: int, items: int, interactions: int, seed: int) -> Recorded:
    """Ratings 1 to 5 of distinct (user, item) pairs, in the order of their times; the same seed gives the same rows.

    Activity and popularity fall off by power laws; a rating is the sum of a user's and an item's bias, the product of
    their factors, and noise. Raises DataError where there are not enough pairs to draw from.
    """
    if interactions > users * items // 4:
        raise DataError(f"{interactions} interactions are asked for; {users} x {items} allow {users * items // 4}")
    random = np.random.default_rng(seed)
    user, item = _pairs(users, items, interactions, random)
    score = 3.5 + random.normal(0, 0.4, users)[user] + random.normal(0, 0.5, items)[item]
    for _ in range(_RANK):
        score += random.normal(0, 0.6, users)[user] * random.normal(0, 0.6, items)[item]
    score += random.normal(0, 0.7, interactions)
    seconds = np.sort(random.integers(_START, _START + _YEAR, interactions))
    return Recorded(
        user=user,
        item=item,
        value=np.clip(np.round(score), 1, 5),
        time=seconds * 1_000_000,
        users=[f"u{number}" for number in range(users)],
        items=[f"i{number}" for number in range(items)],
    )


def _pairs(
    users: int, items: int, interactions: int, random: np.random.Generator
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Distinct pairs, drawn by activity times popularity, in random order."""
    activity, popularity = _power_law(users, 0.6, random), _power_law(items, 0.8, random)
    keys = np.empty(0, dtype=np.int64)
    while len(keys) < interactions:
        missing = int(1.2 * (interactions - len(keys))) + 16
        user = np.repeat(np.arange(users), random.multinomial(missing, activity))
        item = np.repeat(np.arange(items), random.multinomial(missing, popularity))
        keys = np.sort(np.concatenate([keys, user * items + random.permutation(item)]))
        # np.unique finds the same by hashing, which takes ten times as long as sorting where most keys are distinct.
        keys = keys[np.diff(keys, prepend=-1) > 0]
    keys = random.permutation(keys)[:interactions]
    return (keys // items).astype(np.int32), (keys % items).astype(np.int32)


def _power_law(count: int, exponent: float, random: np.random.Generator) -> NDArray[np.float64]:
    weight = np.arange(1, count + 1, dtype=np.float64) ** -exponent
    shuffled: NDArray[np.float64] = random.permutation(weight / weight.sum())
    return shuffled
