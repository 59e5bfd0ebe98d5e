"""Every method forgets what it claims to."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from benchmarks.base import Base
from benchmarks.cases import Case
from benchmarks.left import left
from benchmarks.methods import METHODS, Budget, Point, aggregation, practised
from benchmarks.methods.checkpoints import doubling, is_checkpoint
from benchmarks.methods.early_stopping import EarlyStopping
from benchmarks.methods.ifru_course import Wanted, course
from benchmarks.methods.ifru_quadratic import compiled, differentiated, goal, neighbourhood
from benchmarks.methods.shards import part_of, trained
from benchmarks.timing import Stopwatch

PointsOf = Callable[[str, Case], list[Point]]

FORGETTING = {
    "engine": 0.05,
    "touched": 0.9,
    "warm-sweeps": 0.2,
    "warm-newton": 0.01,
    "warm-lbfgs": 0.02,
    "scratch": 0.02,
    "ifru-solver": 0.5,
}
"""What the best point may leave on either set of pairs."""

OF_ITS_OWN = ("practised", "sisa", "receraser")
"""Methods that train another model than the one that is compared with."""


@pytest.mark.parametrize("name", FORGETTING)
def test_a_method_of_forgetting_comes_near_the_retrained_model(name: str, rows: Case, points_of: PointsOf) -> None:
    found = [left(rows, point.theta) for point in points_of(name, rows)]
    assert any(each.reaches(FORGETTING[name], FORGETTING[name]) for each in found)


@pytest.mark.parametrize("name", FORGETTING)
def test_a_method_of_forgetting_forgets_whole_users(name: str, users: Case, points_of: PointsOf) -> None:
    found = [left(users, point.theta) for point in points_of(name, users)]
    assert all(each.forgotten == 0 for each in found)
    assert any(each.reaches(0, FORGETTING[name]) for each in found)


@pytest.mark.parametrize("name", ["warm-sweeps", "warm-lbfgs", "practised", "ifru-solver"])
def test_the_points_of_one_run_come_in_the_order_of_their_seconds(name: str, rows: Case, points_of: PointsOf) -> None:
    by_curve: dict[str, list[float]] = {}
    for point in points_of(name, rows):
        by_curve.setdefault(point.curve, []).append(point.seconds)
    assert max(map(len, by_curve.values())) > 1
    assert all(seconds == sorted(seconds) for seconds in by_curve.values())


@pytest.mark.parametrize("name", OF_ITS_OWN)
def test_a_method_that_trains_another_model_ranks_better_than_chance(
    name: str, rows: Case, points_of: PointsOf
) -> None:
    auc = left(rows, points_of(name, rows)[-1].theta).auc
    assert auc is not None
    assert auc > 0.55


def test_every_method_is_held_to_something() -> None:
    assert {*FORGETTING, *OF_ITS_OWN} == set(METHODS)


def test_the_engine_says_what_settling_takes(rows: Case, points_of: PointsOf) -> None:
    assert all(point.settle is not None for point in points_of("engine", rows))


def test_both_products_of_the_ifru_solver_are_the_same(rows: Case) -> None:
    support = neighbourhood(rows, 1)
    p = torch.randn(len(support), rows.base.config.rank, generator=torch.Generator().manual_seed(0))
    ours, published = (products(rows, support)(p) for products in (compiled, differentiated))
    torch.testing.assert_close(ours, published, rtol=1e-3, atol=1e-6)


def test_the_ifru_solver_minimises_its_quadratic(rows: Case) -> None:
    found = course(rows, Budget(seconds=60), Wanted(hops=3, rate=1e-2, steps=300), compiled)
    support = neighbourhood(rows, 3)
    p = (found.points[-1].point.theta - rows.base.theta.float())[support] * rows.base.train.retained
    residual = compiled(rows, support)(p) - goal(rows, support)
    assert float(residual.norm() / goal(rows, support).norm()) < 0.05


def test_the_neighbourhood_grows_by_one_hop_at_a_time(base: Base, rows: Case) -> None:
    touched = set(rows.touched.tolist()) | set(rows.emptied.tolist())
    assert set(neighbourhood(rows, 0).tolist()) == touched
    train = base.train
    near = set(touched)
    for user, item in zip(train.user.tolist(), (train.item.astype(int) + train.users).tolist(), strict=True):
        if user in touched or item in touched:
            near |= {user, item}
    assert set(neighbourhood(rows, 1).tolist()) == near


def test_where_auc_stops_the_ifru_solver_no_step_of_the_next_ten_was_better(rows: Case) -> None:
    found = course(rows, Budget(seconds=60), Wanted(hops=1, rate=3e-3, steps=60), compiled)
    assert found.stopped.step <= 60
    assert found.stopped.point.curve.endswith("stopped by AUC")


def test_a_shard_learns_from_its_own_users_alone(base: Base) -> None:
    of_user = np.arange(base.train.users) % 4
    part = part_of(base.train, of_user, 1)
    assert len(part.table) == int((of_user[base.train.user] == 1).sum())
    theta = trained(part, base.config, len(base.theta), seed=0)
    moved = torch.nonzero(theta.any(1))[:, 0]
    assert set(moved.tolist()) <= set(part.rows.tolist())
    assert {row % 4 for row in moved.tolist() if row < base.train.users} == {1}


def test_an_attention_is_deterministic_and_learns(base: Base) -> None:
    theta = base.theta.float()
    users = torch.arange(base.train.users) % 2
    halves = []
    for half in (0, 1):
        part = theta.clone()
        part[: base.train.users][users != half] = 0
        halves.append(part)
    first, again = (next(aggregation.epochs(halves, base.train, Stopwatch(lambda: 0.0), seed=3)) for _ in range(2))
    assert torch.equal(first, again)
    assert first.shape == theta.shape


def test_the_schedule_is_tuned_once_for_a_base(base: Base, budget: Budget) -> None:
    told: list[str] = []
    listening = Budget(budget.seconds, coarse=True, report=lambda what, share: told.append(what))
    first = practised.tuned(base, listening)
    number = len(told)
    assert number == len(practised.COARSE)
    assert practised.tuned(base, listening) == first
    assert len(told) == number


def test_early_stopping_waits_for_its_patience() -> None:
    stopping = EarlyStopping(patience=2)
    figures = [0.5, 0.6, 0.6, 0.55, 0.59]
    assert [(stopping.improves(figure), stopping.over) for figure in figures] == [
        (True, False),
        (True, False),
        (False, False),
        (False, False),
        (False, True),
    ]
    assert stopping.best == 0.6


def test_checkpoints_are_dense_at_first_and_then_eight_in_a_doubling() -> None:
    assert [number for number in range(1, 40) if is_checkpoint(number)] == [
        *range(1, 17),
        *range(18, 33, 2),
        36,
    ]
    assert list(doubling(10)) == [1, 2, 4, 8]
