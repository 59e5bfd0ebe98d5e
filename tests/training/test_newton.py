"""The trainer: a stationary point, the same one every time, from wherever it starts."""

from __future__ import annotations

from functools import partial
from itertools import chain, pairwise, repeat

import numpy as np
import pytest
import torch
from torch import Tensor

from ifru.interactions import Dataset
from ifru.models import MFConfig, ModelConfig, model_of
from ifru.objective import Objective
from ifru.training.newton import Plan, Progress, initial, minimise

CONFIG = MFConfig(rank=6, l2=0.1)


def objective(dataset: Dataset, config: ModelConfig = CONFIG, dtype: torch.dtype = torch.float64) -> Objective:
    return model_of(config).objective(dataset.train, torch.device("cpu"), dtype)


def start(of: Objective, seed: int = 0) -> Tensor:
    return initial(of, seed)


def scores_of(of: Objective, theta: Tensor) -> Tensor:
    """Of all interactions."""
    table = of.interactions
    return (theta[table.user] * theta[table.users + table.item]).sum(1)


@pytest.mark.parametrize("loss", ["bce", "squared"])
@pytest.mark.parametrize("bias", [False, True])
def test_it_ends_at_a_stationary_point(dataset: Dataset, loss: str, bias: bool) -> None:
    config = MFConfig(rank=6, l2=0.1, loss=loss, bias=bias)
    of = objective(dataset, config)
    trained = minimise(of, start(of), Plan())
    assert trained.reason == "stationary"
    assert trained.gradient_norm <= 1e-8 * trained.objective**0.5
    assert trained.objective == pytest.approx(of.at(trained.theta).value)
    gradient = of.at(trained.theta).gradient
    assert float(gradient.norm()) <= 1e-6


def test_float32_reaches_its_tolerance(dataset: Dataset) -> None:
    of = objective(dataset, dtype=torch.float32)
    trained = minimise(of, start(of), Plan(tolerance=1e-5))
    assert trained.gradient_norm <= 1e-5 * trained.objective**0.5
    assert trained.theta.dtype == torch.float32


@pytest.mark.parametrize("loss", ["bce", "squared"])
def test_systems_solved_in_float32_lead_to_the_stationary_point_of_float64(dataset: Dataset, loss: str) -> None:
    config = MFConfig(rank=6, l2=0.1, loss=loss)
    of, narrow = (objective(dataset, config, dtype) for dtype in (torch.float64, torch.float32))
    whole, mixed = (minimise(of, start(of), Plan(), narrow=each) for each in (None, narrow))
    assert mixed.theta.dtype == torch.float64
    assert mixed.reason == "stationary"
    assert float(of.at(mixed.theta).gradient.norm()) <= 1e-6
    torch.testing.assert_close(scores_of(of, mixed.theta), scores_of(of, whole.theta), rtol=0, atol=1e-6)


def test_the_same_start_ends_in_the_same_bits(dataset: Dataset) -> None:
    of = objective(dataset)
    first, second = (minimise(of, start(of), Plan()).theta for _ in range(2))
    assert torch.equal(first, second)


def test_other_starts_end_in_the_same_scores(dataset: Dataset) -> None:
    of = objective(dataset)
    scores = [scores_of(of, minimise(of, start(of, seed=seed), Plan()).theta) for seed in range(3)]
    torch.testing.assert_close(scores[0], scores[1], rtol=0, atol=1e-6)
    torch.testing.assert_close(scores[0], scores[2], rtol=0, atol=1e-6)


def test_the_old_model_slightly_shaken_ends_where_training_from_nothing_ends(dataset: Dataset) -> None:
    """Shaken, because an optimum that needs one more dimension makes a saddle of the best point without it."""
    of = objective(dataset)
    old = minimise(of, start(of), Plan()).theta
    dataset.train.delete(np.arange(0, len(dataset.train), 20))
    of = objective(dataset)
    warm, cold = (minimise(of, theta, Plan()) for theta in (old + 1e-3 * start(of), start(of)))
    assert warm.objective == pytest.approx(cold.objective, rel=1e-10)
    torch.testing.assert_close(scores_of(of, warm.theta), scores_of(of, cold.theta), rtol=0, atol=1e-6)


def test_a_row_without_interactions_stays_zero(dataset: Dataset) -> None:
    of = objective(dataset)
    dataset.train.delete(dataset.train.rows_of_user(3))
    of = objective(dataset)
    assert float(minimise(of, start(of), Plan()).theta[3].norm()) == 0.0


def test_the_starting_point_is_left_as_it_was(dataset: Dataset) -> None:
    of = objective(dataset)
    theta = start(of)
    kept = theta.clone()
    minimise(of, theta, Plan(steps=2))
    assert torch.equal(theta, kept)


def test_it_says_when_it_ran_out_of_steps(dataset: Dataset) -> None:
    of = objective(dataset)
    assert minimise(of, start(of), Plan(sweeps=1, steps=1)).reason == "steps"


def test_progress_never_reports_a_newton_step_that_raised_the_objective(dataset: Dataset) -> None:
    of = objective(dataset)
    seen: list[Progress] = []
    minimise(of, start(of), Plan(), seen.append)
    values = [progress.objective for progress in seen if progress.kind == "newton"]
    assert len(values) > 1
    assert all(after <= before + 1e-9 for before, after in pairwise(values))
    assert [progress.kind for progress in seen[:5]] == ["sweep"] * 5


def test_it_ends_at_the_product_at_which_it_is_told_to(dataset: Dataset) -> None:
    of = objective(dataset)
    whole = minimise(of, start(of), Plan())
    for products in (0, 1, 7):
        answers = chain([False] * products, repeat(True))
        stopped = minimise(of, start(of), Plan(), stop=partial(next, answers))
        assert stopped.products <= products < whole.products
