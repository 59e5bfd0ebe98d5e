"""Labels that are corrected, in the data."""

from __future__ import annotations

import numpy as np
import pytest

from ifru.interactions import Dataset, Deletion, NewLabels
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import Recorded, split

NOTHING = np.empty(0, dtype=np.int64)


@pytest.fixture
def dataset() -> Dataset:
    user, item = np.divmod(np.arange(30, dtype=np.int32), 6)
    names = [f"u{n}" for n in range(5)], [f"i{n}" for n in range(6)]
    return split(Recorded(user, item, 1.0 + np.arange(30) % 5, None, *names), LabelRule.parse("rating>=3"), 0.3, 0)


def labels(rows: list[int], *given: float) -> NewLabels:
    return NewLabels(np.array(rows, dtype=np.int64), np.array(given, dtype=np.float32))


def test_a_copy_keeps_its_labels(dataset: Dataset) -> None:
    copy, before = dataset.copy(), dataset.train.label.copy()
    dataset.delete(Deletion(NOTHING, NOTHING, labels([0, 3], 0.25, 0.75)))
    assert dataset.train.label[[0, 3]].tolist() == [0.25, 0.75]
    np.testing.assert_array_equal(copy.train.label, before)


def test_only_rows_that_are_left_and_had_another_label_are_told(dataset: Dataset) -> None:
    dataset.delete(Deletion(np.array([1]), NOTHING))
    same = float(dataset.train.label[2])
    done = dataset.delete(Deletion(NOTHING, NOTHING, labels([0, 1, 2], 0.5, 0.5, same)))
    assert done.train_labels.rows.tolist() == [0]
    assert len(done) == done.relabelled == 1


def test_of_several_labels_the_last_counts_and_erased_rows_get_none() -> None:
    first = Deletion(np.array([4]), NOTHING, labels([1, 2, 4], 0.1, 0.2, 0.4))
    second = Deletion(NOTHING, np.array([7]), labels([2, 3], 0.25, 0.3), labels([7, 8], 1, 1))
    found = Deletion.union([first, second])
    assert found.train_labels.rows.tolist() == [1, 2, 3]
    np.testing.assert_array_equal(found.train_labels.label, np.float32([0.1, 0.25, 0.3]))
    assert found.holdout_labels.rows.tolist() == [8]
    assert (found.train.tolist(), found.holdout.tolist()) == ([4], [7])


def test_a_pair_means_its_recorded_rows_in_both_parts_that_have_another_label(dataset: Dataset) -> None:
    for table, name in ((dataset.train, "train_labels"), (dataset.holdout, "holdout_labels")):
        user, item, old = int(table.user[0]), int(table.item[0]), float(table.label[0])
        assert getattr(dataset.relabelled([(user, item)], 1 - old), name).rows.tolist() == [0]
        assert len(dataset.relabelled([(user, item)], old)) == 0
