"""Steps in whole numbers of a spacing: readers find θ as the engine has it, and nothing is left for it."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from ifru.engine.rounding import SHARE, Rounding
from ifru.objective.parameters import Parameters
from tests.engine.conftest import World, train_rows

Draw = Callable[[int, int], np.ndarray]


@pytest.mark.parametrize("support", ["auto", "residual", "push", "k_hop", "global"])
def test_who_follows_the_updates_has_the_engines_parameters_to_the_bit(
    world: World, some_rows: Draw, support: str
) -> None:
    engine = world.engine(support=support, tolerance=0.05)
    held = Parameters.unstacked(engine.state.point.theta.clone(), engine.dataset.train.users)
    for seed in range(6):
        held = engine.apply(train_rows(some_rows(4, seed))).parameters.applied(held)
        assert torch.equal(held.stacked(), engine.state.point.theta)
        engine.settle()
    refined = engine.refine()
    assert refined is not None
    assert torch.equal(refined.parameters.applied(held).stacked(), engine.state.point.theta)


def test_an_answer_on_all_rows_is_made_of_steps_and_leaves_no_more_than_it_may(world: World, some_rows: Draw) -> None:
    engine = world.engine(support="global", tolerance=0.01)
    update = engine.apply(train_rows(some_rows(4, 0)))
    stepped = sum(len(steps.rows) for steps in update.parameters.steps.values())
    assert stepped >= 0.99 * len(update.parameters)
    assert update.influence <= 0.01
    assert engine.settle().influence == pytest.approx(update.influence, rel=1e-3)


def test_rounding_leaves_about_its_share(world: World, some_rows: Draw) -> None:
    engine = world.engine(support="global", tolerance=0.01)
    engine.apply(train_rows(some_rows(4, 0)))
    state, batch = engine.state, engine.carried.batch
    grid = Rounding(torch.float32).grid(state.point, 0.01, batch)
    assert grid is not None
    step = 0.01 * torch.randn(state.point.theta.shape, generator=torch.Generator().manual_seed(0))
    error = grid.rounded(step) - step
    energy = float(state.cache.decrements(state.point, state.rows, state.point.product(error)).sum())
    assert math.sqrt(energy / batch) == pytest.approx(0.01 * SHARE, rel=0.25)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_tables_that_are_not_stored_as_they_are_computed_take_no_steps(
    world: World, some_rows: Draw, dtype: torch.dtype
) -> None:
    engine = world.engine(dtype, support="global")
    assert not engine.apply(train_rows(some_rows(4, 0))).parameters.steps
