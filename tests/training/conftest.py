"""A data set small enough to train on in a test."""

from __future__ import annotations

import numpy as np
import pytest

from ifru.interactions import Dataset
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import Recorded, split


def recorded(users: int = 30, items: int = 25, rows: int = 500, seed: int = 0) -> Recorded:
    """Ratings from 1 to 5 with a rank-2 structure and noise; every pair at most once."""
    random = np.random.default_rng(seed)
    pairs = random.permutation(users * items)[:rows]
    user, item = (pairs // items).astype(np.int32), (pairs % items).astype(np.int32)
    taste, kind = random.normal(size=(users, 2)), random.normal(size=(items, 2))
    score = (taste[user] * kind[item]).sum(1) + 0.3 * random.normal(size=rows)
    value = np.clip(np.round(3 + score), 1, 5)
    names = [f"u{n}" for n in range(users)], [f"i{n}" for n in range(items)]
    return Recorded(user, item, value, None, *names)


@pytest.fixture
def ratings() -> Recorded:
    return recorded()


@pytest.fixture
def dataset(ratings: Recorded) -> Dataset:
    return split(ratings, LabelRule.parse("rating>=4"), holdout=0.2, seed=0)
