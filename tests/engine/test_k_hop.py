"""IFRU's pruning: importance spreads as the paper says, and the solve on its support is the solve on its support."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ifru.engine.supports import importance, most_important, on_support
from ifru.interactions import Interactions
from ifru.models import model_of
from ifru.solvers.pcg import Limits
from tests.engine.conftest import CONFIG, World, train_rows
from tests.objective.dense_reference import Problem, numerical, problems

Draw = Callable[[int, int], np.ndarray]


def dense_importance(table: Interactions, deleted: np.ndarray, hops: int) -> np.ndarray:
    """The same by powers of a dense adjacency. `deleted` is not retired yet."""
    rows = table.users + table.items
    adjacency, removed = np.eye(rows), np.zeros(rows)
    for count, into in ((np.flatnonzero(table.alive), "adjacency"), (deleted, "removed")):
        for z in count:
            user, item = table.user[z], table.users + table.item[z]
            if into == "adjacency":
                adjacency[user, item] += 1
                adjacency[item, user] += 1
            else:
                removed[[user, item]] += 1
    degree = adjacency.sum(1)
    mean = adjacency / degree[:, None]
    return np.linalg.matrix_power(mean, hops) @ (removed / degree)


@numerical
@given(problem=problems(), hops=st.integers(0, 4))
def test_importance_is_a_power_of_the_mean_over_neighbours(problem: Problem, hops: int) -> None:
    table = problem.interactions.copy()
    deleted = problem.some_alive(table)
    expected = dense_importance(table, deleted, hops)
    table.delete(deleted)
    np.testing.assert_allclose(importance(table, deleted, hops), expected, atol=1e-12)


@numerical
@given(problem=problems(), share=st.floats(0.01, 1))
def test_no_row_outside_is_more_important_than_one_inside(problem: Problem, share: float) -> None:
    table = problem.interactions.copy()
    deleted = problem.some_alive(table)
    table.delete(deleted)
    rows = most_important(table, deleted, 2, share)
    mass = importance(table, deleted, 2)
    mass[table.degree == 0] = 0
    assert (np.diff(rows) > 0).all()
    assert len(rows) == np.ceil(share * (mass > 0).sum())
    if len(rows):
        assert mass[rows].min() >= np.delete(mass, rows).max(initial=0.0)


def test_the_support_grows_with_hops_and_with_the_share(world: World, some_rows: Draw) -> None:
    table, deleted = world.dataset.train.copy(), some_rows(1, 1)
    table.delete(deleted)
    by_hops = [set(most_important(table, deleted, hops, 1.0)) for hops in (0, 1, 2)]
    by_share = [set(most_important(table, deleted, 2, share)) for share in (0.05, 0.3, 1.0)]
    for supports in (by_hops, by_share):
        assert supports[0] < supports[1] < supports[2]


@pytest.mark.parametrize("damping", [0.0, 0.5])
def test_an_update_is_the_dense_solve_on_its_support(world: World, some_rows: Draw, damping: float) -> None:
    deleted = some_rows(3, 2)
    settings = {
        "support": "k_hop",
        "k_hop_hops": 1,
        "k_hop_share": 0.4,
        "k_hop_damping": damping,
        "tolerance": 1e-9,
        "cache_bytes": 1,
    }
    engine = world.engine(torch.float64, **settings)
    state = engine.state
    update = engine.apply(train_rows(deleted))
    assert update.method == "k_hop"
    (users, _), (items, _) = update.parameters.tables.values()
    rows = torch.cat([users, items + engine.dataset.train.users])
    assert len(rows) > 10
    expected = dense_step(world, deleted, rows, damping)
    torch.testing.assert_close(state.point.theta[rows] - world.theta[rows], expected, rtol=1e-5, atol=1e-7)


def test_what_damping_holds_back_is_counted_as_left(world: World, some_rows: Draw) -> None:
    state = world.engine(torch.float64).state
    removal = state.remove(state.objective.interactions.delete(some_rows(20, 4)))
    rows = removal.touched
    state.settle()
    found = on_support(state, rows, Limits(1e-12, 500), damping=0.5)
    step = torch.zeros_like(state.point.theta).index_copy_(0, rows, found.solution.x)
    left = state.point.gradient[rows] + state.point.product(step)[rows]
    exact = float(state.cache.decrements(state.point, rows, left).sum()) ** 0.5
    assert found.left == pytest.approx(exact, rel=0.02)
    assert found.left > 10 * found.solution.residual_norm


def dense_step(world: World, deleted: np.ndarray, rows: torch.Tensor, damping: float) -> torch.Tensor:
    """−(H_SS + damping·B_S)⁻¹ r_S with the Hessian written out, column by column."""
    table = world.dataset.train.copy()
    table.delete(deleted)
    point = model_of(CONFIG).objective(table, torch.device("cpu"), torch.float64).at(world.theta)
    width = world.theta.shape[1]
    columns = []
    for row in rows.tolist():
        for k in range(width):
            x = torch.zeros_like(world.theta)
            x[row, k] = 1
            columns.append(point.product(x)[rows].reshape(-1))
    hessian = torch.stack(columns, 1)
    blocks = torch.block_diag(*point.blocks(rows))
    debt = point.gradient[rows].reshape(-1)
    return -torch.linalg.solve(hessian + damping * blocks, debt).reshape(len(rows), width)


def test_the_debt_outside_the_support_is_carried(world: World, some_rows: Draw) -> None:
    engine = world.engine(torch.float64, support="k_hop", k_hop_hops=1, k_hop_share=0.2)
    engine.apply(train_rows(some_rows(20, 3)))
    engine.settle()
    exact = engine.state.objective.at(engine.state.point.theta).gradient
    assert torch.allclose(engine.state.point.gradient, exact, rtol=0, atol=1e-8)
    assert engine.settle().influence > engine.settings.tolerance
