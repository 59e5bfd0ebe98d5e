"""What generated ratings promise."""

from __future__ import annotations

import numpy as np
import pytest

from ifru.errors import DataError
from ifru.interactions.generated import generate


def test_pairs_are_distinct_and_as_many_as_asked_for() -> None:
    found = generate(60, 50, 700, seed=1)
    assert len(found.user) == len(found.item) == 700
    assert len(np.unique(found.user.astype(np.int64) * 50 + found.item)) == 700
    assert 0 <= found.user.min() <= found.user.max() < len(found.users) == 60
    assert 0 <= found.item.min() <= found.item.max() < len(found.items) == 50


def test_the_same_seed_gives_the_same_rows() -> None:
    first, again, other = (generate(60, 50, 700, seed) for seed in (1, 1, 2))
    for name in ("user", "item", "value", "time"):
        assert np.array_equal(getattr(first, name), getattr(again, name))
        assert not np.array_equal(getattr(first, name), getattr(other, name))


def test_values_are_ratings_and_rows_come_in_the_order_of_their_times() -> None:
    found = generate(60, 50, 700, seed=1)
    assert found.value is not None
    assert found.time is not None
    assert set(found.value.tolist()) == {1.0, 2.0, 3.0, 4.0, 5.0}
    assert (np.diff(found.time) >= 0).all()


def test_time_says_nothing_about_who_it_was() -> None:
    found = generate(200, 150, 7000, seed=1)
    for side in (found.user, found.item):
        assert abs(np.corrcoef(side, np.arange(7000))[0, 1]) < 0.05


@pytest.mark.parametrize("side", ["user", "item"])
def test_few_have_much_and_many_have_little(side: str) -> None:
    degree = np.sort(np.bincount(getattr(generate(1000, 800, 20_000, seed=1), side)))[::-1]
    assert degree[: len(degree) // 10].mean() > 4 * degree[len(degree) // 2 :].mean()


def test_more_than_the_pairs_allow_is_refused() -> None:
    with pytest.raises(DataError, match="751 interactions are asked for; 60 x 50 allow 750"):
        generate(60, 50, 751, seed=1)
