"""Training as practised: deterministic, stopped in time, on any model that declares it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ifru.errors import DataError
from ifru.interactions import Dataset
from ifru.models import ModelConfig, config_type, model_of
from ifru.models.neumf import NeuMFConfig
from ifru.models.practice import Practice
from ifru.models.quality import auc, scores
from ifru.training import train
from ifru.training.practised import fit, tuned, validated
from ifru.training.validation import validation_split

CPU = torch.device("cpu")
NAMES = ("neumf", "two-tower", "deepfm")
PRACTICE = Practice(batch=64, step=0.01, epochs=8)


def config_of(name: str, practice: Practice | None = PRACTICE) -> ModelConfig:
    return config_type(name).model_validate({"rank": 8, "l2": 0.01, "hidden": (8, 4), "practice": practice})


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_model_whatever_random_numbers_were_drawn_before(
    dataset: Dataset, name: str, dtype: torch.dtype
) -> None:
    first = fit(dataset.train, config_of(name), seed=3, device=CPU, dtype=dtype)
    torch.rand(5)
    second = fit(dataset.train, config_of(name), seed=3, device=CPU, dtype=dtype)
    assert first.theta.dtype == dtype
    assert torch.equal(first.theta, second.theta)
    assert not torch.equal(first.theta, fit(dataset.train, config_of(name), seed=4, device=CPU, dtype=dtype).theta)


def test_training_leaves_the_random_numbers_of_others_as_they_were(dataset: Dataset) -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    fit(dataset.train, config_of("neumf"), seed=1, device=CPU, dtype=torch.float32)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("name", NAMES)
def test_a_trained_model_ranks_held_out_pairs_better_than_guessing(dataset: Dataset, name: str) -> None:
    model = train(dataset, [config_of(name, Practice(batch=64, step=0.01, epochs=30))], dtype=torch.float32)
    assert model.auc is not None
    assert model.auc > 0.6
    assert model.proof is None
    assert not model.ready
    assert model.trained.reason == "epochs"
    assert np.isfinite(model.trained.objective)


def test_a_row_without_data_is_zero(dataset: Dataset) -> None:
    train_rows = dataset.train.copy()
    train_rows.delete(train_rows.rows_of_user(3))
    trained = fit(train_rows, config_of("deepfm"), seed=0, device=CPU, dtype=torch.float32)
    assert not trained.parameters.user[3].any()
    assert trained.parameters.user[4].any()


def test_without_a_practice_one_is_tuned_and_stored_and_the_same_one_every_time(dataset: Dataset) -> None:
    said: list[str] = []
    config = config_of("neumf", None)
    found = train(dataset, [config], dtype=torch.float32, report=lambda what, share: said.append(what)).config
    assert isinstance(found, NeuMFConfig)
    assert found.practice is not None
    again = tuned(dataset.train, config, seed=0, device=CPU, dtype=torch.float32)
    assert isinstance(again, NeuMFConfig)
    assert found.practice == again.practice
    assert tuned(dataset.train, again, seed=9, device=CPU, dtype=torch.float32) is again
    assert "trying batches of 2,048 with step size 0.003" in said
    assert "training" in said


def test_early_stopping_takes_the_epoch_with_the_smallest_loss_on_rows_that_are_not_trained_on(
    dataset: Dataset,
) -> None:
    fitted, rows = validation_split(dataset.train, 0.2, 0)
    found = validated(fitted, rows, config_of("neumf", None), 64, 0.03, seed=0, device=CPU, dtype=torch.float64)
    label, loss = fitted.label[rows], {}
    for epochs in range(1, found.practice.epochs + 3):
        config = config_of("neumf", Practice(batch=64, step=0.03, epochs=epochs))
        parameters = fit(fitted, config, seed=0, device=CPU, dtype=torch.float64).parameters
        score = scores(config, parameters, fitted.user[rows], fitted.item[rows])
        loss[epochs] = float(np.mean(np.logaddexp(score, 0) - label * score))
        if epochs == found.practice.epochs:
            assert found.auc == auc(score, label)
    assert min(loss, key=lambda epochs: loss[epochs]) == found.practice.epochs
    assert loss[found.practice.epochs] == pytest.approx(found.loss, rel=1e-6)


def test_candidates_are_chosen_among_by_validation(dataset: Dataset) -> None:
    candidates = [config_of("neumf", None).model_copy(update={"l2": l2}) for l2 in (10.0, 0.01)]
    chosen = train(dataset, candidates, dtype=torch.float32)
    assert chosen.selection is not None
    assert [config.l2 for config, _ in chosen.selection.tried] == [10.0, 0.01]
    assert chosen.config.l2 == 0.01


def test_scores_that_are_not_finite_end_training_with_a_sentence(dataset: Dataset) -> None:
    dataset.train.weight[0] = np.inf
    with pytest.raises(DataError, match="not finite"):
        validated(
            *validation_split(dataset.train, 0.2, 0),
            config_of("neumf", None),
            seed=0,
            device=CPU,
            dtype=torch.float32,
        )


def test_what_is_trained_is_what_the_layout_says(dataset: Dataset) -> None:
    for name in NAMES:
        config = config_of(name)
        trained = fit(dataset.train, config, seed=0, device=CPU, dtype=torch.float64)
        layout = model_of(config).layout(dataset.train.users, dataset.train.items)
        shapes = {key: tuple(tensor.shape) for key, tensor in trained.parameters.shared.items()}
        assert shapes == dict(layout.shared)
