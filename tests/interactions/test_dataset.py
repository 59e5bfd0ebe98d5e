"""Deletion from a data set: what goes with what, and when an id is forgotten."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ifru.interactions import Dataset, Deletion, Ids
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import Recorded, split


def dataset(seed: int, rule: str) -> Dataset:
    random = np.random.default_rng(seed)
    pairs = random.permutation(6 * 8)[:20]
    names = [f"u{n}" for n in range(6)], [f"i{n}" for n in range(8)]
    recorded = Recorded(
        (pairs // 8).astype(np.int32), (pairs % 8).astype(np.int32), random.integers(1, 6, 20) * 1.0, None, *names
    )
    return split(recorded, LabelRule.parse(rule), 0.3, seed)


datasets = st.builds(dataset, st.integers(0, 1000), st.sampled_from(["rating>=4", "positive:2"]))
picks = st.lists(st.tuples(st.sampled_from(["user", "item", "pair"]), st.integers(0, 5), st.integers(0, 7)), max_size=9)


def of(data: Dataset, pick: tuple[str, int, int]) -> Deletion:
    kind, user, item = pick
    return {"user": data.of_user(user), "item": data.of_item(item), "pair": data.of_pair(user, item)}[kind]


@settings(deadline=None)
@given(datasets, picks)
def test_an_id_is_forgotten_exactly_when_no_row_of_it_is_left(
    data: Dataset, chosen: list[tuple[str, int, int]]
) -> None:
    seen = {
        side: set(getattr(data.train, side).tolist()) | set(getattr(data.holdout, side).tolist())
        for side in ("user", "item")
    }
    for pick in chosen:
        data.delete(of(data, pick))
        for side, ids in (("user", data.users), ("item", data.items)):
            left = {int(row) for part in (data.train, data.holdout) for row in getattr(part, side)[part.alive].tolist()}
            assert {row for row in seen[side] if ids.name(row) is not None} == left


@settings(deadline=None)
@given(datasets, picks)
def test_no_negative_outlives_its_positive(data: Dataset, chosen: list[tuple[str, int, int]]) -> None:
    for pick in chosen:
        data.delete(of(data, pick))
        for part in (data.train, data.holdout):
            assert part.alive[part.origin[part.alive]].all()


@settings(deadline=None)
@given(datasets, picks)
def test_deleting_a_user_or_an_item_leaves_no_row_of_it(data: Dataset, chosen: list[tuple[str, int, int]]) -> None:
    for kind, user, item in chosen:
        data.delete(of(data, (kind, user, item)))
        for part in (data.train, data.holdout):
            if kind == "user":
                assert len(part.rows_of_user(user)) == 0
            elif kind == "item":
                assert len(part.rows_of_item(item)) == 0
            else:
                assert len(part.rows_of_pairs([(user, item)])) == 0


@settings(deadline=None)
@given(datasets, picks)
def test_what_was_retired_is_returned_once(data: Dataset, chosen: list[tuple[str, int, int]]) -> None:
    before = data.train.retained, data.holdout.retained
    everything = Deletion.nothing()
    for pick in chosen:
        everything = Deletion.union([everything, of(data, pick)])
    retired = data.delete(everything)
    assert len(retired.train) == len(everything.train) == before[0] - data.train.retained
    assert len(retired.holdout) == len(everything.holdout) == before[1] - data.holdout.retained
    assert len(data.delete(everything)) == 0


@settings(deadline=None)
@given(datasets, picks)
def test_a_copy_keeps_what_the_original_loses(data: Dataset, chosen: list[tuple[str, int, int]]) -> None:
    copy, names = data.copy(), list(data.users)
    for pick in chosen:
        data.delete(of(data, pick))
    assert list(copy.users) == names
    assert copy.train.alive.all()
    assert copy.holdout.alive.all()


def test_an_erased_item_takes_the_negatives_in_which_it_was_drawn() -> None:
    data = dataset(1, "positive:2")
    drawn = np.flatnonzero(data.train.origin != np.arange(len(data.train)))
    item = int(data.train.item[drawn[0]])
    data.delete(data.of_item(item))
    assert not data.train.alive[drawn[0]]
    assert data.train.alive[data.train.origin[drawn[0]]]


def test_ids_map_both_ways_and_forget() -> None:
    ids = Ids(["a", None, "b"])
    assert (ids.row("a"), ids.row("b"), ids.row("c"), ids.name(1), len(ids)) == (0, 2, None, None, 3)
    ids.forget(0)
    ids.forget(0)
    assert (ids.row("a"), ids.name(0), list(ids), len(ids)) == (None, None, [None, None, "b"], 3)


def test_a_forgotten_id_stays_known_to_a_copy_made_before() -> None:
    ids = Ids(["a"])
    copy = ids.copy()
    ids.forget(0)
    assert copy.row("a") == 0


def test_deletions_join_without_repeating() -> None:
    first = Deletion(np.array([1, 3]), np.array([2]))
    joined = Deletion.union([first, Deletion(np.array([0, 3]), np.array([], dtype=np.int64))])
    assert (joined.train.tolist(), joined.holdout.tolist(), len(joined)) == ([0, 1, 3], [2], 4)
    with pytest.raises(AttributeError):
        joined.train = np.array([5])  # type: ignore[misc]
