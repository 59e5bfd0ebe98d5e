"""Local push: it stops where it says, keeps its books exact, and its work does not grow with the model."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from itertools import count
from typing import cast

import numpy as np
import pytest
import torch

from ifru.curvature.cache import CurvatureCache
from ifru.engine.push import Budget, Push, Pushed
from ifru.engine.state import State
from ifru.engine.supports import carrying, of_push
from ifru.interactions.generated import generate
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import split
from ifru.kernels.dispatch import torch_only
from ifru.models import MFConfig, model_of
from ifru.objective.pairwise import PairwisePoint
from ifru.solvers.reason import Reason
from ifru.training.newton import Plan, initial, minimise
from tests.engine.conftest import CONFIG, World, train_rows

Draw = Callable[[int, int], np.ndarray]
CPU = torch.device("cpu")


def state_of(world: World, path: str = "compiled", cache_bytes: int = 1 << 30) -> State:
    with torch_only() if path == "torch" else nullcontext():
        objective = model_of(CONFIG).objective(world.dataset.train.copy(), CPU, torch.float64)
    return State(objective, world.theta, CurvatureCache(objective, cache_bytes))


def forget(push: Push, rows: np.ndarray, tolerance: float, budget: Budget | None = None) -> Pushed:
    """Delete training rows and push until their influence is down to a tolerance."""
    table = push.state.objective.interactions
    removal = push.state.remove(table.delete(rows))
    owed = push.state.total_decrement
    return push.run(removal.touched, owed, tolerance**2 * owed, budget or Budget())


def standing_clock() -> float:
    return 0.0


def assert_settles_exactly(state: State) -> None:
    state.settle()
    fresh = state.objective.at(state.point.theta)
    assert isinstance(state.point, PairwisePoint)
    assert isinstance(fresh, PairwisePoint)
    torch.testing.assert_close(state.point.gradient, fresh.gradient, rtol=0, atol=1e-8)
    torch.testing.assert_close(state.point.first, fresh.first, rtol=0, atol=1e-10)
    torch.testing.assert_close(state.point.second, fresh.second, rtol=0, atol=1e-10)
    decrements = state.cache.decrements(state.point, state.rows, state.point.gradient)
    torch.testing.assert_close(state.decrements, decrements, rtol=0.2, atol=1e-12)


@pytest.mark.parametrize("tolerance", [0.5, 0.1, 0.02])
def test_what_is_left_is_near_what_was_predicted_and_allowed(world: World, some_rows: Draw, tolerance: float) -> None:
    push = Push(state_of(world), standing_clock)
    table = push.state.objective.interactions
    removal = push.state.remove(table.delete(some_rows(30, 1)))
    owed = push.state.total_decrement
    pushed = push.run(removal.touched, owed, tolerance**2 * owed)
    assert pushed.reason == Reason.TOLERANCE
    assert pushed.left <= tolerance**2 * owed
    assert_settles_exactly(push.state)
    assert push.state.total_decrement <= (1.5 * tolerance) ** 2 * owed


def test_debt_from_earlier_batches_is_part_of_the_work_that_is_predicted(world: World, some_rows: Draw) -> None:
    push = Push(state_of(world), standing_clock)
    state, table = push.state, push.state.objective.interactions
    first = state.remove(table.delete(some_rows(30, 1)))
    allowed = 0.09 * state.total_decrement
    fresh = of_push(state, first.touched, allowed, 0.3)
    assert len(carrying(state, first.touched, allowed)) == 0
    push.run(first.touched, state.total_decrement, allowed)
    state.settle()
    second = state.remove(table.delete(some_rows(30, 2)))
    allowed = 0.09 * state.total_decrement
    others = carrying(state, second.touched, allowed)
    assert len(others) > 0
    assert not np.isin(others.numpy(), second.touched.numpy()).any()
    assert of_push(state, second.touched, allowed, 0.3) > fresh


def test_a_small_tolerance_leads_to_the_retrained_model(world: World, some_rows: Draw) -> None:
    rows = some_rows(30, 2)
    push = Push(state_of(world), standing_clock)
    assert forget(push, rows, 3e-4).reason == Reason.TOLERANCE
    forgotten, holdout = world.left(push.state.point.theta, rows)
    assert forgotten < 3e-3
    assert holdout < 2e-2


def test_a_tighter_tolerance_leaves_less_of_the_deletion(world: World, some_rows: Draw) -> None:
    rows, left = some_rows(30, 3), []
    for tolerance in (0.5, 0.2, 0.05, 0.01):
        push = Push(state_of(world), standing_clock)
        forget(push, rows, tolerance)
        left.append(world.left(push.state.point.theta, rows))
    for figures in zip(*left, strict=True):
        assert list(figures) == sorted(figures, reverse=True)


@pytest.mark.parametrize(
    ("budget", "reason"),
    [
        (Budget(rows=17), Reason.ROWS),
        (Budget(interactions=2000), Reason.INTERACTIONS),
        (Budget(interactions=0), Reason.INTERACTIONS),
        (Budget(milliseconds=5500), Reason.MILLISECONDS),
        (Budget(rounds=2), Reason.ROUNDS),
    ],
)
def test_a_push_keeps_its_budget_and_says_which_it_was(
    world: World, some_rows: Draw, budget: Budget, reason: Reason
) -> None:
    seconds = count()
    push = Push(state_of(world), lambda: float(next(seconds)))
    before = push.state.point.theta.clone()
    pushed = forget(push, some_rows(30, 4), 1e-6, budget)
    assert pushed.reason == reason
    assert budget.rows is None or len(pushed.rows) == budget.rows
    assert budget.interactions is None or pushed.interactions_read <= budget.interactions
    assert pushed.iterations <= 2 * budget.rounds
    assert budget.milliseconds is None or next(seconds) <= 7
    assert torch.equal((push.state.point.theta != before).any(1).nonzero()[:, 0], pushed.rows)
    assert_settles_exactly(push.state)


@pytest.mark.parametrize("heavy", [1, 1 << 40])
def test_the_compiled_path_pushes_as_the_torch_path_does(world: World, some_rows: Draw, heavy: int) -> None:
    twins = [Push(state_of(world, path), standing_clock, heavy) for path in ("compiled", "torch")]
    for seed in range(3):
        compiled, reference = (forget(push, some_rows(10, seed), 0.1) for push in twins)
        assert torch.equal(compiled.rows, reference.rows)
        assert compiled.left == pytest.approx(reference.left, rel=1e-6)
        assert compiled.waiting == pytest.approx(reference.waiting, rel=1e-6)
        assert compiled.interactions_read == reference.interactions_read
        torch.testing.assert_close(twins[0].state.point.theta, twins[1].state.point.theta, rtol=0, atol=1e-9)


def test_debt_carried_from_earlier_batches_is_pushed_when_it_is_too_much(world: World, some_rows: Draw) -> None:
    push = Push(state_of(world), standing_clock)
    forget(push, some_rows(200, 5), 0.5, Budget(rows=1))
    push.state.settle()
    carried = push.state.total_decrement
    table = push.state.objective.interactions
    removal = push.state.remove(table.delete(some_rows(1, 6)))
    pushed = push.run(removal.touched, push.state.total_decrement, 0.01 * carried)
    assert pushed.reason == Reason.TOLERANCE
    assert_settles_exactly(push.state)
    assert push.state.total_decrement < 0.03 * carried


def test_heavy_rows_wait_within_the_bound_that_is_reported(world: World, some_rows: Draw) -> None:
    eager, patient = (Push(state_of(world), standing_clock, heavy) for heavy in (1 << 40, 1))
    for push in (eager, patient):
        forget(push, some_rows(200, 7), 0.02)
        push.state.settle()
    at_once, later = (forget(push, some_rows(20, 8), 0.05) for push in (eager, patient))
    assert at_once.waiting == 0
    assert 0 < later.waiting < later.left
    assert later.reason == Reason.TOLERANCE
    assert_settles_exactly(patient.state)
    assert patient.state.total_decrement <= 1.5**2 * later.left


def test_no_small_step_puts_more_on_its_neighbours_than_the_gain_allows(world: World) -> None:
    state, random = state_of(world), np.random.default_rng(9)
    objective, users = state.objective, world.dataset.train.users
    alive = objective.ridge.nonzero()[:, 0]
    for side in (alive[alive < users], alive[alive >= users]):
        for row in torch.from_numpy(random.choice(side.numpy(), 20, replace=False))[:, None]:
            step = 1e-5 * torch.from_numpy(random.normal(size=(1, CONFIG.rank)))
            point = cast("PairwisePoint", objective.at(state.point.theta.clone()))
            point.theta[row] += step
            found = point.update_side(row, state.point.theta[row], 0.0)
            changed = (point.gradient - state.point.gradient)[found.reached]
            added = changed.square().sum(1) / objective.ridge[found.reached]
            assert float(added.sum()) <= float(found.gains[0]) * float(step.square().sum()) * 1.001


def test_rows_whose_blocks_do_not_fit_the_cache_are_pushed_too(world: World, some_rows: Draw) -> None:
    push = Push(state_of(world, cache_bytes=20 * 12 * 12 * 8), standing_clock)
    pushed = forget(push, some_rows(30, 12), 0.1)
    assert pushed.reason == Reason.TOLERANCE
    assert_settles_exactly(push.state)
    assert push.state.total_decrement <= 1.5**2 * pushed.left


def test_nothing_is_left_behind_from_one_push_to_the_next(world: World, some_rows: Draw) -> None:
    used, state = Push(state_of(world), standing_clock), state_of(world)
    for seed in range(3):
        forget(used, some_rows(10, seed), 0.2)
        forget(Push(state, standing_clock), some_rows(10, seed), 0.2)
    assert torch.equal(used.state.point.theta, state.point.theta)


def test_an_engine_that_is_told_to_push_pushes(world: World, some_rows: Draw) -> None:
    engine = world.engine(support="push", tolerance=0.2)
    update = engine.apply(train_rows(some_rows(20, 10)))
    assert (update.method, update.reason) == ("push", "tolerance")
    assert update.influence <= 0.2
    assert engine.settle().influence <= 1.5 * 0.2


def test_an_engine_keeps_the_budget_of_a_push(world: World, some_rows: Draw) -> None:
    engine = world.engine(support="push", tolerance=0.01, push_rows=20, push_interactions=3000)
    update = engine.apply(train_rows(some_rows(20, 11)))
    assert len(update.parameters) <= 20
    assert update.interactions_read <= 3000
    assert update.reason in {"rows", "interactions"}


def test_interactions_read_hardly_grow_with_the_data() -> None:
    small, large = (reads(users, items, rows) for users, items, rows in ((400, 300, 12_000), (4000, 3000, 120_000)))
    assert 0 < large < 2 * small


def reads(users: int, items: int, interactions: int) -> float:
    """Interactions read for ten deletions, on generated data of a size: the mean of some draws."""
    config = MFConfig(rank=4, l2=0.15)
    data = split(generate(users, items, interactions, seed=3), LabelRule.parse("value>=4"), 0.0, seed=0)
    objective = model_of(config).objective(data.train, CPU, torch.float64)
    trained = minimise(objective, initial(objective, 0), Plan())
    read = []
    for seed in range(8):
        of_draw = model_of(config).objective(data.train.copy(), CPU, torch.float64)
        push = Push(State(of_draw, trained.theta, CurvatureCache(of_draw, 1 << 30)), standing_clock)
        rows = np.random.default_rng(seed).choice(len(data.train), 10, replace=False)
        read.append(forget(push, rows, 0.3).interactions_read)
    return float(np.mean(read))
