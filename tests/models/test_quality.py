"""AUC against its definition, and against what is known of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ifru.interactions import Columns, Dataset, Ids, Interactions
from ifru.models import MFConfig
from ifru.models.quality import auc, holdout_auc, scores
from ifru.objective.parameters import Parameters


def by_definition(score: list[float], label: list[float]) -> float | None:
    won = [
        0.5 if score[i] == score[j] else float((score[i] > score[j]) == (label[i] > label[j]))
        for i in range(len(score))
        for j in range(i)
        if label[i] != label[j]
    ]
    return sum(won) / len(won) if won else None


pairs = st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 6)), max_size=30)


@given(pairs)
def test_auc_is_the_share_of_pairs_in_the_right_order(given_pairs: list[tuple[int, int]]) -> None:
    score, label = [float(s) for s, _ in given_pairs], [float(y) for _, y in given_pairs]
    expected = by_definition(score, label)
    found = auc(np.array(score), np.array(label))
    assert found == (None if expected is None else pytest.approx(expected, abs=1e-12))


@given(st.integers(0, 2**32 - 1), st.integers(2, 200))
def test_auc_does_not_depend_on_the_order_or_the_scale(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    score, label = random.normal(size=count), random.integers(0, 2, count).astype(float)
    label[0], label[1] = 0, 1
    shuffled = random.permutation(count)
    found = auc(score, label)
    assert found == auc(score[shuffled], label[shuffled]) == auc(3 * score + 1, label)
    assert found is not None
    assert auc(-score, label) == pytest.approx(1 - found)


def test_auc_of_a_perfect_a_constant_and_an_undefined_ranking() -> None:
    label = np.array([0.0, 1.0, 1.0])
    assert auc(np.array([0.1, 0.2, 0.3]), label) == 1.0
    assert auc(np.zeros(3), label) == 0.5
    assert auc(np.arange(3.0), np.ones(3)) is None
    assert auc(np.empty(0), np.empty(0)) is None


def test_held_out_rows_that_were_deleted_do_not_count() -> None:
    user, item = np.zeros(3, dtype=np.int32), np.arange(3, dtype=np.int32)
    label = np.array([1, 0, 1], dtype=np.float32)
    holdout = Interactions(Columns(user, item, label, np.ones(3, dtype=np.float32), None, np.arange(3)), 1, 3)
    config = MFConfig(rank=1, l2=0.1)
    tables = Parameters.of(torch.ones(1, 1), torch.tensor([[3.0], [2.0], [1.0]]))
    dataset = Dataset(holdout.copy(), holdout, Ids(["u"]), Ids(["a", "b", "c"]))
    assert holdout_auc(config, tables, dataset) == 0.5
    holdout.delete(np.array([2]))
    assert holdout_auc(config, tables, dataset) == 1.0
    holdout.delete(np.array([0]))
    assert holdout_auc(config, tables, dataset) is None


def test_scores_count_biases() -> None:
    config = MFConfig(rank=1, l2=0.1, bias=True)
    tables = Parameters.of(torch.tensor([[2.0, 10.0]]), torch.tensor([[3.0, 100.0], [0.0, 0.0]]))
    assert scores(config, tables, np.array([0, 0]), np.array([0, 1])).tolist() == [116.0, 10.0]
