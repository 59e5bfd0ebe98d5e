"""Data sets of any size, with as many users and items as real ones of that size have."""

from __future__ import annotations

import numpy as np

from ifru.interactions import Dataset
from ifru.interactions.generated import generate
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import split

_MOVIELENS = (
    (100_000, 943, 1_682),
    (1_000_209, 6_040, 3_706),
    (10_000_054, 69_878, 10_677),
    (20_000_263, 138_493, 26_744),
)
"""Ratings, users and items of MovieLens 100K, 1M, 10M and 20M (Harper and Konstan 2015, table 1; the 20M read-me)."""

_LABEL = "rating>=4"


def shape(interactions: int) -> tuple[int, int]:
    """Users and items, interpolated between the MovieLens data sets on logarithmic scales.

    Below and above them they grow as between the nearest two. A user has 100 to 170 interactions at every size, an
    item ever more.
    """
    sizes = np.log(np.array(_MOVIELENS, dtype=np.float64))
    at = np.log(interactions)
    place = int(np.clip(np.searchsorted(sizes[:, 0], at) - 1, 0, len(sizes) - 2))
    (low, *few), (high, *many) = sizes[place], sizes[place + 1]
    share = (at - low) / (high - low)
    users, items = (round(float(np.exp(a + share * (b - a)))) for a, b in zip(few, many, strict=True))
    return users, items


def grown(interactions: int, seed: int) -> Dataset:
    """A generated data set of a size; no rows are held out."""
    users, items = shape(interactions)
    return split(generate(users, items, interactions, seed), LabelRule.parse(_LABEL), 0.0, seed)
