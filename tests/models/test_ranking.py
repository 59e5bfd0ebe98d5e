"""NDCG against its definition, and what it counts."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ifru.interactions import Columns, Interactions
from ifru.models import MFConfig, ModelConfig, model_of
from ifru.models.lightgcn import LightGCNConfig
from ifru.models.quality import scores
from ifru.models.ranking import Scores, all_items, ndcg
from ifru.objective.parameters import Parameters
from tests.models.bent import BentConfig

Rows = list[tuple[int, int, int]]
"""user, item, label."""

USERS, ITEMS = 4, 7


def table(rows: Rows, origin: list[int] | None = None) -> Interactions:
    user, item, label = (np.array(column, dtype=np.int32) for column in zip(*rows, strict=True)) if rows else [[]] * 3
    columns = Columns(
        user=np.asarray(user, dtype=np.int32),
        item=np.asarray(item, dtype=np.int32),
        label=np.asarray(label, dtype=np.float32),
        weight=np.ones(len(rows), dtype=np.float32),
        time=None,
        origin=np.array(origin if origin is not None else range(len(rows)), dtype=np.int64),
    )
    return Interactions(columns, USERS, ITEMS)


def given_by(values: Tensor) -> Scores:
    return lambda users: values[users].clone()


def by_definition(values: Tensor, train: Rows, holdout: Rows, k: int) -> float | None:
    found = []
    for user in range(USERS):
        seen = {item for of, item, _ in train if of == user}
        wanted = {item for of, item, label in holdout if of == user and label == 1} - seen
        ranking = sorted(set(range(ITEMS)) - seen, key=lambda item: (-float(values[user, item]), item))[:k]
        if wanted:
            reached = sum(1 / math.log2(2 + place) for place, item in enumerate(ranking) if item in wanted)
            found.append(reached / sum(1 / math.log2(2 + place) for place in range(min(k, len(wanted)))))
    return sum(found) / len(found) if found else None


rows = st.lists(st.tuples(st.integers(0, USERS - 1), st.integers(0, ITEMS - 1), st.integers(0, 1)), max_size=20)


@given(st.lists(st.integers(0, 3), min_size=USERS * ITEMS, max_size=USERS * ITEMS), rows, rows, st.integers(1, 9))
def test_it_is_the_mean_over_users_of_the_discounted_share_of_their_positives(
    levels: list[int], train: Rows, holdout: Rows, k: int
) -> None:
    values = torch.tensor(levels, dtype=torch.float64).view(USERS, ITEMS)
    expected = by_definition(values, train, holdout, k)
    found = ndcg(given_by(values), table(train), table(holdout), k)
    assert found == (None if expected is None else pytest.approx(expected, abs=1e-12))


def test_a_ranking_with_the_positives_first_is_perfect() -> None:
    values = torch.zeros(USERS, ITEMS)
    values[1, 3:5] = torch.tensor([1.0, 2.0])
    assert ndcg(given_by(values), table([]), table([(1, 3, 1), (1, 4, 1), (2, 0, 0)])) == 1.0


def test_a_deleted_pair_is_ranked_again() -> None:
    values = torch.arange(ITEMS, 0.0, -1).expand(USERS, -1)
    train, holdout = table([(0, 0, 1)]), table([(0, 1, 1)])
    assert ndcg(given_by(values), train, holdout, k=1) == 1.0
    train.delete(np.array([0]))
    assert ndcg(given_by(values), train, holdout, k=1) == 0.0


def test_sampled_negatives_stay_in_the_ranking() -> None:
    values = torch.arange(ITEMS, 0.0, -1).expand(USERS, -1)
    train = table([(0, 1, 1), (0, 0, 0)], origin=[0, 0])
    assert ndcg(given_by(values), train, table([(0, 2, 1)]), k=1) == 0.0


def test_held_out_rows_that_were_deleted_do_not_count() -> None:
    holdout = table([(0, 0, 1), (1, ITEMS - 1, 1)])
    values = torch.arange(ITEMS, 0.0, -1).expand(USERS, -1)
    assert ndcg(given_by(values), table([]), holdout, k=1) == 0.5
    holdout.delete(np.array([1]))
    assert ndcg(given_by(values), table([]), holdout, k=1) == 1.0
    holdout.delete(np.array([0]))
    assert ndcg(given_by(values), table([]), holdout, k=1) is None


def test_batches_of_users_give_the_same_as_all_at_once() -> None:
    random = np.random.default_rng(0)
    users, items = 60, 90_000
    asked: list[int] = []
    user, item = random.integers(0, users, 500).astype(np.int32), random.integers(0, items, 500).astype(np.int32)
    one = np.ones(500, dtype=np.float32)
    holdout = Interactions(Columns(user, item, one, one, None, np.arange(500)), users, items)
    train = Interactions(Columns(user[:0], item[:0], one[:0], one[:0], None, np.arange(0)), users, items)

    def low_numbers_first(batch: Tensor) -> Tensor:
        asked.append(len(batch))
        return -torch.arange(items, dtype=torch.float32).repeat(len(batch), 1)

    found = ndcg(low_numbers_first, train, holdout, k=items)
    assert len(asked) > 1
    reached = [np.mean([1 / np.log2(2 + at) for at in set(item[user == of].tolist())]) for of in range(users)]
    most = [np.mean(1 / np.log2(2 + np.arange(len(set(item[user == of].tolist()))))) for of in range(users)]
    assert found == pytest.approx(float(np.mean(np.array(reached) / np.array(most))))


@pytest.mark.parametrize(
    "config",
    [
        MFConfig(rank=3, l2=0.1),
        MFConfig(rank=3, l2=0.1, bias=True),
        LightGCNConfig(rank=3, l2=0.1),
        BentConfig(rank=3, l2=0.1),
    ],
)
def test_scores_with_all_items_are_the_scores_of_pairs(config: ModelConfig) -> None:
    random = torch.Generator().manual_seed(0)
    width = sum(model_of(config).columns.values())
    tables = Parameters.of(torch.randn(USERS, width, generator=random), torch.randn(ITEMS, width, generator=random))
    found = all_items(config, tables)(torch.tensor([2, 0]))
    user, item = np.repeat([2, 0], ITEMS), np.tile(np.arange(ITEMS), 2)
    np.testing.assert_allclose(found.flatten().numpy(), scores(config, tables, user, item), rtol=1e-6)
