"""Every derivative of the objective, on both paths, against autograd in float64."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given

from tests.objective.dense_reference import (
    Problem,
    numerical,
    plain_blocks,
    plain_gradient,
    plain_hessian,
    plain_objective,
    problems,
)

PATHS = pytest.mark.parametrize("path", ["compiled", "torch"])


def close(actual: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-8, atol=1e-8)


@PATHS
@numerical
@given(problem=problems())
def test_value_is_the_sum_over_retained_interactions(path: str, problem: Problem) -> None:
    value = problem.point(path).value
    expected = float(plain_objective(problem, problem.theta, problem.interactions))
    assert value == pytest.approx(expected, rel=1e-8, abs=1e-8)


@PATHS
@numerical
@given(problem=problems())
def test_gradient_is_autograds(path: str, problem: Problem) -> None:
    point, rows = problem.point(path), problem.support()
    expected = plain_gradient(problem, problem.theta, problem.interactions)
    close(point.gradient, expected)
    close(point.gradient_of(rows), expected[rows])


@PATHS
@numerical
@given(problem=problems())
def test_hessian_product_is_autograds(path: str, problem: Problem) -> None:
    x = problem.normal(*problem.theta.shape)
    expected = torch.einsum("rksj,sj->rk", plain_hessian(problem), x)
    close(problem.point(path).product(x), expected)


@PATHS
@numerical
@given(problem=problems())
def test_blocks_are_gauss_newton_with_autograds_jacobians(path: str, problem: Problem) -> None:
    rows = problem.support()
    close(problem.point(path).blocks(rows), plain_blocks(problem, rows))


@PATHS
@numerical
@given(problem=problems())
def test_coupling_is_the_off_diagonal_part_of_the_hessian(path: str, problem: Problem) -> None:
    theta, rows = problem.theta, problem.support()
    hessian = plain_hessian(problem)[rows][:, :, rows]
    each = torch.arange(len(rows))
    hessian[each, :, each, :] = 0
    x = problem.normal(len(rows), theta.shape[1])
    coupling = problem.point(path).coupling(rows)
    close(coupling.product(x), torch.einsum("rksj,sj->rk", hessian, x))


@PATHS
@numerical
@given(problem=problems())
def test_cross_is_the_hessian_between_the_two_sides(path: str, problem: Problem) -> None:
    point, hessian = problem.point(path), plain_hessian(problem)
    x, users = problem.normal(*problem.theta.shape), problem.interactions.users
    of_users = torch.einsum("rksj,sj->rk", hessian[users:, :, :users], x[:users])
    of_items = torch.einsum("rksj,sj->rk", hessian[:users, :, users:], x[users:])
    close(point.cross(x[:users], of_users=True), of_users)
    close(point.cross(x[users:], of_users=False), of_items)


@PATHS
@numerical
@given(problem=problems())
def test_coupling_reads_only_retained_interactions_with_both_ends_in_the_support(path: str, problem: Problem) -> None:
    rows = problem.support()
    coupling = problem.point(path).coupling(rows)
    table, inside = problem.interactions, set(rows.tolist())
    both = [
        alive and int(user) in inside and int(item) + table.users in inside
        for user, item, alive in zip(table.user, table.item, table.alive, strict=True)
    ]
    assert coupling.interactions == sum(both)


@PATHS
@numerical
@given(problem=problems())
def test_gradient_along_is_the_off_diagonal_part_of_the_hessian_times_a_step(path: str, problem: Problem) -> None:
    point, theta, rows = problem.point(path), problem.theta, problem.support()
    hessian, each = plain_hessian(problem), torch.arange(len(theta))
    hessian[each, :, each, :] = 0
    step = problem.normal(len(rows), theta.shape[1])
    expected = torch.einsum("rksj,sj->rk", hessian[:, :, rows], step)
    near, added, _ = point.gradient_along(rows, step)
    close(torch.zeros_like(theta).index_add(0, near, added), expected)
    again, same, _ = point.gradient_along(rows, step)
    assert torch.equal(near, again)
    close(added, same)


@PATHS
@numerical
@given(problem=problems())
def test_neighbours_are_the_rows_at_the_far_end_and_the_rows_themselves(path: str, problem: Problem) -> None:
    point, rows, table = problem.point(path), problem.support(), problem.interactions
    near = dict.fromkeys(rows.tolist(), 0)
    for user, item in zip(table.user.tolist(), (table.item + table.users).tolist(), strict=True):
        if user in rows.tolist() or item in rows.tolist():
            near |= {row: near.get(row, 0) + 1 for row in (user, item)}
    reached, met = point.neighbours(rows)
    assert dict(zip(reached.tolist(), met.tolist(), strict=True)) == dict(sorted(near.items()))
    again, same = point.neighbours(rows)
    assert torch.equal(reached, again)
    assert torch.equal(met, same)


@PATHS
@numerical
@given(problem=problems())
def test_a_removal_is_what_the_gradient_changes_by_when_the_interactions_go(path: str, problem: Problem) -> None:
    point = problem.point(path)
    before = point.gradient.clone()
    gone = problem.some_alive(problem.interactions)
    point.objective.interactions.delete(gone)
    change = point.objective.remove(point, gone)
    expected = plain_gradient(problem, problem.theta, point.objective.interactions)
    close(change.point.gradient, expected)
    assert change.spillover is None
    left = torch.ones(len(before), dtype=torch.bool)
    left[change.rows[point.objective.ridge[change.rows] == 0]] = False
    close((before.index_add(0, change.rows, change.direct))[left], expected[left])
    assert change.rows.tolist() == sorted(set(change.rows.tolist()))


@PATHS
@numerical
@given(problem=problems())
def test_an_advance_is_the_point_there_and_the_change_of_the_objective(path: str, problem: Problem) -> None:
    point, step = problem.point(path), problem.normal(*problem.theta.shape)
    there, change = point.advance(step)
    values = [float(plain_objective(problem, at, problem.interactions)) for at in (problem.theta, problem.theta + step)]
    close(there.theta, problem.theta + step)
    close(there.gradient, plain_gradient(problem, problem.theta + step, problem.interactions))
    assert change == pytest.approx(values[1] - values[0], rel=1e-8, abs=1e-8)
    assert there.value == pytest.approx(values[1], rel=1e-8, abs=1e-8)
    close(point.theta, problem.theta)
