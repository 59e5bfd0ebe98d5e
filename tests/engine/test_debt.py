"""The debt: nothing is dropped, whatever happens in whatever order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ifru.engine.engine import Engine
from ifru.interactions import Deletion
from ifru.objective.parameters import Parameters
from tests.engine.conftest import NOTHING, World, train_rows

Draw = Callable[[int, int], np.ndarray]


def recomputed(engine: Engine) -> torch.Tensor:
    return engine.state.objective.at(engine.state.point.theta).gradient


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    operations=st.lists(
        st.tuples(st.sampled_from(["random", "user", "item", "refine", "settle"]), st.integers(0, 250)),
        min_size=1,
        max_size=8,
    ),
    support=st.sampled_from(["auto", "residual", "push", "k_hop", "global"]),
    tolerance=st.sampled_from([0.3, 0.05]),
)
def test_carried_debt_is_the_gradient_of_the_retained_objective(
    world: World, operations: list[tuple[str, int]], support: str, tolerance: float
) -> None:
    engine = world.engine(torch.float64, support=support, tolerance=tolerance)
    for kind, number in operations:
        match kind:
            case "random":
                alive = np.flatnonzero(engine.dataset.train.alive)
                engine.apply(train_rows(np.random.default_rng(number).choice(alive, 7, replace=False)))
            case "user":
                engine.apply(engine.dataset.of_user(number))
            case "item":
                engine.apply(engine.dataset.of_item(number))
            case "refine":
                engine.refine()
            case _:
                engine.settle()
    engine.settle()
    assert torch.allclose(engine.state.point.gradient, recomputed(engine), rtol=0, atol=1e-8)


def test_debt_of_many_float32_batches_stays_exact(world: World, some_rows: Draw) -> None:
    engine = world.engine(support="residual", tolerance=0.3)
    for part in np.array_split(some_rows(600, 5), 100):
        engine.apply(train_rows(part))
    engine.settle()
    exact = recomputed(engine)
    assert float((engine.state.point.gradient - exact).norm() / exact.norm()) < 1e-3


def test_emptied_rows_are_zero_and_owe_nothing(world: World) -> None:
    item = int(np.argmin(np.where(world.dataset.train.item_degree > 0, world.dataset.train.item_degree, 10**9)))
    engine = world.engine()
    engine.apply(engine.dataset.of_item(item))
    row = engine.dataset.train.users + item
    assert not engine.state.point.theta[row].any()
    assert not engine.state.point.gradient[row].any()
    assert engine.dataset.items.name(item) is None


def test_deleting_twice_is_deleting_once(world: World, some_rows: Draw) -> None:
    engine = world.engine()
    first = engine.apply(train_rows(some_rows(20, 6)))
    tables = engine.state.point.theta.clone()
    again = engine.apply(train_rows(some_rows(20, 6)))
    assert len(first.deletion) == 20
    assert len(again.deletion) == 0
    assert again.reason == "nothing_to_move"
    assert torch.equal(engine.state.point.theta, tables)


@pytest.mark.parametrize("support", ["residual", "push", "k_hop", "global"])
def test_an_update_names_every_row_that_moved_and_no_other(world: World, some_rows: Draw, support: str) -> None:
    engine = world.engine(support=support, tolerance=0.3)
    before = engine.state.point.theta.clone()
    update = engine.apply(train_rows(some_rows(5, 7)))
    after = update.parameters.applied(Parameters.unstacked(before.clone(), engine.dataset.train.users)).stacked()
    assert torch.equal(after, engine.state.point.theta)
    moved = (before != engine.state.point.theta).any(1)
    assert int(moved.sum()) == len(update.parameters)


@pytest.mark.parametrize("support", ["residual", "push", "k_hop", "global"])
def test_parameters_that_were_handed_out_do_not_go_back_to_what_was_forgotten(
    world: World, some_rows: Draw, support: str
) -> None:
    engine = world.engine(support=support, tolerance=0.3)
    rows = np.union1d(some_rows(400, 7), world.dataset.train.rows_of_user(int(world.dataset.train.user[0])))
    engine.apply(train_rows(rows))
    held, served = engine.parameters, engine.parameters.stacked()
    engine.settle()
    torch.testing.assert_close(held.stacked(), served)
    assert not held.user[world.dataset.train.user[0]].any()


def test_the_same_requests_give_the_same_model(world: World, some_rows: Draw) -> None:
    twins = [world.engine(), world.engine()]
    for engine in twins:
        for seed in range(3):
            engine.apply(train_rows(some_rows(10, seed)))
    assert torch.equal(twins[0].state.point.theta, twins[1].state.point.theta)


def test_refinement_stops_when_told_and_goes_on_later(world: World, some_rows: Draw) -> None:
    engine = world.engine(tolerance=0.3, refined=0.001)
    engine.apply(train_rows(some_rows(50, 8)))
    asked = 0

    def after_three() -> bool:
        nonlocal asked
        asked += 1
        return asked > 3

    stopped = engine.refine(after_three)
    assert stopped is not None
    assert stopped.reason == "stopped"
    assert stopped.iterations <= 3
    assert stopped.influence > 0.001
    while (update := engine.refine()) is not None:
        assert update.reason == "tolerance"
    assert engine.settle().influence <= 0.001


def test_an_engine_started_anew_owes_what_the_former_owed(world: World, some_rows: Draw) -> None:
    former = world.engine(torch.float64, support="residual", tolerance=0.3)
    former.apply(train_rows(some_rows(50, 9)))
    settled = former.settle()
    heir = Engine(former.config, former.parameters, former.dataset.copy(), former.settings, carried=former.carried)
    assert torch.allclose(heir.state.point.gradient, former.state.point.gradient, rtol=0, atol=1e-8)
    assert heir.settle().total == pytest.approx(settled.total, rel=0.05)
    assert heir.settle().influence == pytest.approx(settled.influence, rel=0.05)


def test_a_deletion_of_held_out_rows_alone_moves_nothing_and_owes_nothing(world: World, some_rows: Draw) -> None:
    engine = world.engine()
    engine.apply(train_rows(some_rows(20, 10)))
    owed = engine.settle()
    update = engine.apply(Deletion(NOTHING, np.arange(5)))
    assert len(update.deletion.holdout) == 5
    assert len(update.parameters) == 0
    assert update.influence == engine.settle().influence == owed.influence


def test_a_model_whose_data_are_all_erased_is_all_zero(world: World) -> None:
    engine = world.engine()
    everything = np.arange(len(engine.dataset.train))
    engine.apply(train_rows(everything))
    assert not engine.state.point.theta.any()
    assert engine.settle().influence == 0
    assert engine.refine() is None


def test_a_model_that_owes_nothing_is_not_refined(world: World) -> None:
    assert world.engine().refine() is None


def test_a_cache_smaller_than_the_model_forgets_as_well(world: World, some_rows: Draw) -> None:
    ample, narrow = world.engine(support="residual"), world.engine(support="residual", cache_bytes=200 * 12 * 12 * 4)
    for seed in range(4):
        for engine in (ample, narrow):
            engine.apply(train_rows(some_rows(10, seed)))
    assert narrow.counters.evictions > 0
    assert ample.counters.evictions == 0
    assert narrow.settle().influence <= 1.2 * ample.settle().influence
