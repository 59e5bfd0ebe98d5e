"""Users in shards."""

from __future__ import annotations

import numpy as np

from benchmarks.methods.partition import at_random, by_similarity


def test_random_shards_are_of_one_size() -> None:
    shard = at_random(103, 10, seed=0)
    sizes = np.bincount(shard, minlength=10)
    assert sizes.max() - sizes.min() <= 1
    assert (at_random(103, 10, seed=0) == shard).all()


def test_similar_users_share_a_shard() -> None:
    random = np.random.default_rng(0)
    group = np.repeat(np.arange(4), 25)
    embedding = 10 * np.eye(4)[group] + random.normal(0, 0.1, (100, 4))
    shard = by_similarity(embedding, 4, seed=3)
    assert (shard >= 0).all()
    together = np.mean([len(np.unique(shard[group == number])) for number in range(4)])
    assert together <= 2


def test_no_shard_grows_beyond_its_room() -> None:
    embedding = np.concatenate([np.zeros((90, 2)), np.ones((10, 2))])
    sizes = np.bincount(by_similarity(embedding, 5, seed=0), minlength=5)
    assert sizes.max() <= 24
    assert sizes.sum() == 100
