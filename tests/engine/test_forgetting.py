"""How near an update comes to the retrained model."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.engine.conftest import World, train_rows

Draw = Callable[[int, int], np.ndarray]


@pytest.mark.parametrize(("tolerance", "forget", "holdout"), [(0.1, 0.1, 0.3), (0.01, 0.02, 0.08)])
def test_an_update_leaves_no_more_than_its_tolerance_promises(
    world: World, some_rows: Draw, tolerance: float, forget: float, holdout: float
) -> None:
    rows = some_rows(50, 1)
    engine = world.engine(tolerance=tolerance)
    update = engine.apply(train_rows(rows))
    assert update.influence <= tolerance
    assert engine.settle().influence <= tolerance
    left = world.left(engine.state.point.theta, rows)
    assert left[0] <= forget
    assert left[1] <= holdout


def test_refinement_ends_at_the_retrained_model(world: World, some_rows: Draw) -> None:
    rows = some_rows(50, 2)
    engine = world.engine(tolerance=0.1, refined=0.001)
    engine.apply(train_rows(rows))
    while engine.refine() is not None:
        pass
    left = world.left(engine.state.point.theta, rows)
    assert left[0] <= 0.002
    assert left[1] <= 0.01


def test_a_support_that_leaves_too_much_is_followed_by_all_rows(world: World) -> None:
    rare = np.argsort(np.where(world.dataset.train.user_degree > 0, world.dataset.train.user_degree, 10**9))[:3]
    rows = np.concatenate([world.dataset.train.rows_of_user(user) for user in rare])[:4]
    for tolerance in (0.05, 0.01, 0.001):
        engine = world.engine(tolerance=tolerance)
        update = engine.apply(train_rows(rows))
        assert update.influence == pytest.approx(engine.settle().influence)
        assert update.influence <= tolerance


@pytest.mark.parametrize("support", ["residual", "push", "global"])
def test_a_hundred_batches_leave_no_more_than_one_batch_of_all(world: World, some_rows: Draw, support: str) -> None:
    rows = some_rows(500, 3)
    at_once, one_by_one = world.engine(support=support), world.engine(support=support)
    at_once.apply(train_rows(rows))
    for part in np.array_split(np.random.default_rng(0).permutation(rows), 100):
        one_by_one.apply(train_rows(part))
    together, apart = (world.left(engine.state.point.theta, rows) for engine in (at_once, one_by_one))
    assert apart[0] <= 1.5 * together[0]
    assert apart[1] <= 1.5 * together[1]


def test_whole_users_are_gone_from_every_score(world: World) -> None:
    users = np.flatnonzero(world.dataset.train.user_degree > 0)[:5]
    rows = np.concatenate([world.dataset.train.rows_of_user(user) for user in users])
    engine = world.engine()
    engine.apply(train_rows(rows))
    assert (engine.parameters.user[users] == 0).all()
    forget, holdout = world.left(engine.state.point.theta, rows)
    assert forget == 0
    assert holdout <= 0.06


def test_residual_influence_falls_with_what_is_truly_left(world: World, some_rows: Draw) -> None:
    rows = some_rows(50, 4)
    published, true = [], []
    for tolerance in (0.3, 0.1, 0.03, 0.01):
        engine = world.engine(tolerance=tolerance, support="global")
        engine.apply(train_rows(rows))
        published.append(engine.settle().influence)
        true.append(world.left(engine.state.point.theta, rows)[1])
    assert published == sorted(published, reverse=True)
    assert true == sorted(true, reverse=True)
