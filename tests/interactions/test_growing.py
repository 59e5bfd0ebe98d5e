"""Data to train on again: the same rows, without gaps, and new ones beside them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from ifru.errors import DataError
from ifru.interactions import Dataset, Interactions
from ifru.interactions.growing import compacted, extended, renumbered
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import Recorded, split

RULE, USERS, ITEMS = LabelRule.parse("positive:2"), 12, 20
Row = tuple[str | None, str | None, float, int | None, tuple[str | None, str | None]]


def recorded(names: int, seed: int, rows: int = 60, times: bool = True) -> Recorded:
    """Ratings of users named from `names` on."""
    random = np.random.default_rng(seed)
    pairs = random.permutation(USERS * ITEMS)[:rows]
    user, item = (pairs // ITEMS).astype(np.int32), (pairs % ITEMS).astype(np.int32)
    time = random.integers(0, 10**9, rows) if times else None
    return Recorded(user, item, None, time, [f"u{names + n}" for n in range(USERS)], [f"i{n}" for n in range(ITEMS)])


def shrunk() -> Dataset:
    """A data set that has lost some users, an item and some pairs."""
    data = split(recorded(0, 0), RULE, holdout=0.3, seed=0)
    of_one = int(data.train.item[data.train.user == 1][0])
    for deletion in (data.of_user(0), data.of_user(5), data.of_item(3), data.of_pair(1, of_one)):
        data.delete(deletion)
    return data


def rows(data: Dataset, table: Interactions) -> Counter[Row]:
    """What is retained, by names; of each row also which one it was drawn for."""

    def names(row: int) -> tuple[str | None, str | None]:
        return data.users.name(int(table.user[row])), data.items.name(int(table.item[row]))

    def row_of(row: int) -> Row:
        time = None if table.time is None else int(table.time[row])
        return (*names(row), float(table.label[row]), time, names(int(table.origin[row])))

    return Counter(map(row_of, np.flatnonzero(table.alive).tolist()))


def test_a_data_set_without_gaps_has_the_same_rows_and_nobody_who_was_erased() -> None:
    data = shrunk()
    again = compacted(data)
    for one, other in ((data.train, again.train), (data.holdout, again.holdout)):
        assert rows(data, one) == rows(again, other)
        assert len(other) == other.retained == one.retained
    assert None not in set(again.users)
    assert {"u0", "u5"}.isdisjoint(set(again.users))


def test_features_follow_their_entities() -> None:
    data = shrunk()
    living = [row for row, name in enumerate(data.users) if name is not None]
    table = pa.table({"row": living, "name": [data.users.name(row) for row in living]})
    moved, again = renumbered({"user": table}, data)["user"], compacted(data)
    assert [again.users.name(row) for row in moved["row"].to_pylist()] == moved["name"].to_pylist()


def test_new_rows_stand_beside_the_old_ones_and_known_pairs_are_passed_over() -> None:
    data, new = compacted(shrunk()), recorded(6, 1)
    grown, chosen = extended(data, new, RULE, holdout=0.25, seed=0)
    for one, other in ((data.train, grown.train), (data.holdout, grown.holdout)):
        assert rows(data, one) <= rows(grown, other)
    known = {(row[0], row[1]) for table in (data.train, data.holdout) for row in rows(data, table) if row[:2] == row[4]}
    named = [(new.users[user], new.items[item]) for user, item in zip(new.user, new.item, strict=True)]
    assert chosen.tolist() == [pair not in known for pair in named]
    assert 0 < chosen.sum() < len(chosen)
    recorded_now = [row for table in (grown.train, grown.holdout) for row in rows(grown, table) if row[:2] == row[4]]
    assert Counter(row[:2] for row in recorded_now) == Counter(known | set(named))
    added = grown.holdout.recorded.sum() - data.holdout.recorded.sum()
    assert added == round(0.25 * chosen.sum())


def test_negatives_of_new_rows_are_no_pairs_that_somebody_recorded() -> None:
    data = compacted(shrunk())
    grown, _ = extended(data, recorded(6, 1), RULE, holdout=0.25, seed=0)
    real, drawn = set(), []
    for table in (grown.train, grown.holdout):
        for row in range(len(table)):
            pair = int(table.user[row]), int(table.item[row])
            if table.recorded[row]:
                real.add(pair)
            elif pair[0] >= len(data.users):
                drawn.append(pair)
    assert drawn
    assert real.isdisjoint(drawn)


def test_new_rows_without_times_do_not_fit_data_with_times() -> None:
    with pytest.raises(DataError, match="timestamp"):
        extended(compacted(shrunk()), recorded(6, 1, times=False), RULE, holdout=0.0, seed=0)
