"""Choosing λ by validation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from ifru.errors import DataError
from ifru.interactions import Dataset
from ifru.interactions.generated import generate
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import Recorded, split
from ifru.models import MFConfig, ModelConfig
from ifru.models.ials import IALSConfig
from ifru.training import L2_GRID, Selection, select
from ifru.training.validation import validation_split


def candidates(*grid: float) -> list[ModelConfig]:
    return [MFConfig(rank=4, l2=l2) for l2 in grid]


def selected(dataset: Dataset, *grid: float, seed: int = 0) -> Selection:
    return select(dataset.train, candidates(*grid), seed, torch.device("cpu"), torch.float64)


def test_the_candidate_with_the_best_validation_auc_is_taken(dataset: Dataset) -> None:
    found = selected(dataset, 3.0, 0.3, 0.1)
    assert found.config == max(found.tried, key=lambda each: each[1])[0]
    assert [config.l2 for config, _ in found.tried] == [3.0, 0.3, 0.1]
    assert all(0 <= auc <= 1 for _, auc in found.tried)


def test_the_search_ends_when_two_in_a_row_are_worse(dataset: Dataset) -> None:
    found = selected(dataset, 0.3, 30.0, 20.0, 10.0, 5.0)
    assert [config.l2 for config, _ in found.tried] == [0.3, 30.0, 20.0]
    assert found.config.l2 == 0.3


def test_a_penalty_that_shrinks_every_score_to_nothing_ranks_nothing(dataset: Dataset) -> None:
    assert [auc for _, auc in selected(dataset, 30.0, 20.0).tried] == [0.5, 0.5]


def test_the_same_seed_chooses_alike_and_changes_nothing(dataset: Dataset) -> None:
    assert selected(dataset, 0.3, 0.1) == selected(dataset, 0.3, 0.1)
    assert dataset.train.alive.all()


def test_candidates_are_announced_in_order(dataset: Dataset) -> None:
    seen: list[ModelConfig] = []
    select(dataset.train, candidates(0.5, 0.2), 0, torch.device("cpu"), torch.float64, seen.append)
    assert seen == candidates(0.5, 0.2)


def test_the_grid_descends() -> None:
    assert list(L2_GRID) == sorted(L2_GRID, reverse=True)


def test_labels_that_are_all_alike_ask_for_l2(ratings: Recorded) -> None:
    dataset = split(ratings, LabelRule.parse("rating>=0"), 0.2, 0)
    with pytest.raises(DataError, match="give --l2"):
        selected(dataset, 0.3, 0.1)


def test_where_all_rows_are_positive_unseen_pairs_rank_against_them() -> None:
    train = split(replace(generate(120, 90, 2_500, 5), value=None), LabelRule.parse("positive:0"), 0.2, 0).train
    tried = [IALSConfig(rank=4, l2=l2) for l2 in (1000.0, 5.0)]
    nothing, some = (auc for _, auc in select(train, tried, 0, torch.device("cpu"), torch.float64).tried)
    assert nothing == 0.5
    assert some > 0.6


def test_validation_rows_take_their_negatives_along(ratings: Recorded) -> None:
    train = split(replace(ratings, value=None), LabelRule.parse("positive:2"), 0.2, 0).train
    fitted, rows = validation_split(train, 0.1, 0)
    recorded = int((train.origin == np.arange(len(train))).sum())
    assert len(rows) == 3 * round(0.1 * recorded)
    assert set(rows.tolist()) == set(np.flatnonzero(~fitted.alive).tolist())
    assert fitted.alive[fitted.origin[fitted.alive]].all()
    assert train.alive.all()


def test_deleted_rows_are_neither_trained_on_nor_validated_on(dataset: Dataset) -> None:
    gone = dataset.train.delete(np.arange(50))
    fitted, rows = validation_split(dataset.train, 0.2, 0)
    assert not np.isin(gone, rows).any()
    assert not fitted.alive[gone].any()
