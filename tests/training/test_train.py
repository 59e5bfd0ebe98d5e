"""From a data set to a trained model with a verdict."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from ifru.errors import DataError
from ifru.interactions import Dataset
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import Recorded, split
from ifru.models import MFConfig, ModelConfig, model_of
from ifru.models.quality import holdout_auc
from ifru.training import PROVEN, TOLERANCES, TrainedModel, fit, polish, train

CPU = torch.device("cpu")


def trained(dataset: Dataset, *configs: ModelConfig, dtype: torch.dtype = torch.float64, seed: int = 0) -> TrainedModel:
    return train(dataset, configs, seed=seed, device=CPU, dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bias", [False, True])
def test_enough_rank_ends_proven_optimal(dataset: Dataset, dtype: torch.dtype, bias: bool) -> None:
    model = trained(dataset, MFConfig(rank=10, l2=0.1, bias=bias), dtype=dtype)
    assert model.ready
    assert model.verdict == "proven optimal"
    assert model.proof.relative_gap <= PROVEN[dtype]
    assert model.parameters.user.dtype == dtype
    assert model.proof.retained == dataset.train.retained
    assert model.auc == holdout_auc(model.config, model.parameters, dataset)


def test_too_small_a_rank_is_not_ready_and_says_what_to_do(dataset: Dataset) -> None:
    model = trained(dataset, MFConfig(rank=1, l2=0.1))
    assert not model.ready
    assert model.verdict.startswith("not ready for unlearning: ")
    assert "raise --rank or --l2" in model.verdict
    assert model.trained.reason == "stationary"


def test_the_same_seed_gives_the_same_model_and_proof(dataset: Dataset) -> None:
    config = MFConfig(rank=6, l2=0.1)
    first, second = trained(dataset, config), trained(dataset, config)
    assert torch.equal(first.parameters.user, second.parameters.user)
    assert first.proof.gap == second.proof.gap


def test_of_several_candidates_the_chosen_one_is_trained(dataset: Dataset) -> None:
    model = trained(dataset, MFConfig(rank=6, l2=0.3), MFConfig(rank=6, l2=0.1))
    assert model.selection is not None
    assert model.config == model.selection.config
    assert trained(dataset, model.config).selection is None


def test_training_in_float32_comes_as_near_as_it_promises(dataset: Dataset) -> None:
    config = MFConfig(rank=6, l2=0.1)
    single = fit(dataset.train, config, seed=0, device=CPU, dtype=torch.float32)
    assert single.gradient_norm <= TOLERANCES[torch.float32] * math.sqrt(single.objective)
    exact = polish(dataset.train, config, single.theta)
    assert exact.theta.dtype == torch.float64
    assert exact.gradient_norm <= TOLERANCES[torch.float64] * math.sqrt(exact.objective)
    scores = model_of(config).objective(dataset.train, CPU, torch.float64).scores
    torch.testing.assert_close(scores(exact.theta), scores(single.theta.double()), rtol=0, atol=1e-2)


def test_progress_is_a_share_that_ends_at_one(dataset: Dataset) -> None:
    seen: list[tuple[str, float | None]] = []
    config = MFConfig(rank=6, l2=0.1)
    train(dataset, [config], seed=0, device=CPU, dtype=torch.float64, report=lambda *said: seen.append(said))
    shares = [share for what, share in seen if what == "training"]
    assert all(share is not None and 0 <= share <= 1 for share in shares)
    assert shares[-1] == 1
    assert seen[-1][0] == "proving"


def test_raw_ratings_need_the_squared_loss(ratings: Recorded) -> None:
    dataset = split(ratings, LabelRule.parse("rating"), 0.2, 0)
    with pytest.raises(DataError, match=r"labels go from 1 to 5.*--loss squared"):
        trained(dataset, MFConfig(rank=4, l2=0.1))
    model = trained(dataset, MFConfig(rank=10, l2=0.3, loss="squared"))
    assert model.ready
    assert model.auc is not None
    assert model.auc > 0.5


def test_no_rows_to_train_on_are_an_error_of_the_data(ratings: Recorded) -> None:
    few = replace(ratings, user=ratings.user[:1], item=ratings.item[:1], value=ratings.value[:1])
    with pytest.raises(DataError, match="no rows to train on"):
        trained(split(few, LabelRule.parse("rating>=4"), 0.9, 0), MFConfig(rank=4, l2=0.1))


@pytest.mark.parametrize("bias", [False, True])
def test_preferences_end_proven_optimal(ratings: Recorded, bias: bool) -> None:
    dataset = split(ratings, LabelRule.parse("positive:2"), 0.2, seed=0)
    model = trained(dataset, MFConfig(rank=10, l2=0.1, bias=bias, loss="bpr"))
    assert model.verdict == "proven optimal"
    assert model.proof.retained == dataset.train.retained * 2 // 3
    assert model.auc > 0.55


def test_preferences_need_a_negative_of_every_positive(ratings: Recorded) -> None:
    config = MFConfig(rank=2, l2=0.1, loss="bpr")
    with pytest.raises(DataError, match=r"400 of 400 recorded rows .* use --label positive:1"):
        trained(split(ratings, LabelRule.parse("rating>=4"), 0.2, seed=0), config)
    dataset = split(ratings, LabelRule.parse("positive:1"), 0.2, seed=0)
    dataset.train.delete(np.flatnonzero(~dataset.train.recorded)[:3])
    with pytest.raises(DataError, match="3 of 400 recorded rows"):
        trained(dataset, config)


def test_a_user_who_met_every_item_needs_no_negative(ratings: Recorded) -> None:
    everything = np.arange(len(ratings.items), dtype=np.int32)
    others = np.flatnonzero(ratings.user != 0)
    met = replace(
        ratings,
        user=np.concatenate([ratings.user[others], np.zeros(len(everything), np.int32)]),
        item=np.concatenate([ratings.item[others], everything]),
        value=np.concatenate([ratings.value[others], np.full(len(everything), 4.0)]),
    )
    dataset = split(met, LabelRule.parse("positive:1"), 0.2, seed=0)
    assert not (~dataset.train.recorded & (dataset.train.user == 0)).any()
    assert trained(dataset, MFConfig(rank=10, l2=0.1, loss="bpr")).ready
