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
    value = problem.objective(path).value(problem.theta)
    expected = float(plain_objective(problem, problem.theta, problem.interactions))
    assert value == pytest.approx(expected, rel=1e-8, abs=1e-8)


@PATHS
@numerical
@given(problem=problems())
def test_gradient_is_autograds(path: str, problem: Problem) -> None:
    objective, theta = problem.objective(path), problem.theta
    expected = plain_gradient(problem, theta, problem.interactions)
    slopes, rows = objective.slopes(theta), problem.support()
    close(objective.gradient(theta, slopes), expected)
    close(objective.gradient(theta, slopes, rows), expected[rows])


@PATHS
@numerical
@given(problem=problems())
def test_hessian_product_is_autograds(path: str, problem: Problem) -> None:
    objective, theta = problem.objective(path), problem.theta
    x = problem.normal(*theta.shape)
    expected = torch.einsum("rksj,sj->rk", plain_hessian(problem), x)
    close(objective.product(theta, objective.slopes(theta), x), expected)


@PATHS
@numerical
@given(problem=problems())
def test_blocks_are_gauss_newton_with_autograds_jacobians(path: str, problem: Problem) -> None:
    objective, theta, rows = problem.objective(path), problem.theta, problem.support()
    blocks = objective.blocks(theta, objective.slopes(theta), rows)
    close(blocks, plain_blocks(problem, rows))


@PATHS
@numerical
@given(problem=problems())
def test_coupling_is_the_off_diagonal_part_of_the_hessian(path: str, problem: Problem) -> None:
    objective, theta, rows = problem.objective(path), problem.theta, problem.support()
    hessian = plain_hessian(problem)[rows][:, :, rows]
    each = torch.arange(len(rows))
    hessian[each, :, each, :] = 0
    x = problem.normal(len(rows), theta.shape[1])
    coupling = objective.coupling(theta, objective.slopes(theta), rows)
    close(coupling.product(x), torch.einsum("rksj,sj->rk", hessian, x))


@PATHS
@numerical
@given(problem=problems())
def test_across_is_the_hessian_between_the_two_sides(path: str, problem: Problem) -> None:
    objective, theta, hessian = problem.objective(path), problem.theta, plain_hessian(problem)
    x, slopes, users = problem.normal(*theta.shape), objective.slopes(theta), objective.interactions.users
    of_users = torch.einsum("rksj,sj->rk", hessian[users:, :, :users], x[:users])
    of_items = torch.einsum("rksj,sj->rk", hessian[:users, :, users:], x[users:])
    close(objective.across(theta, slopes, x[:users], of_users=True), of_users)
    close(objective.across(theta, slopes, x[users:], of_users=False), of_items)


@PATHS
@numerical
@given(problem=problems())
def test_coupling_reads_only_retained_interactions_with_both_ends_in_the_support(path: str, problem: Problem) -> None:
    objective, rows = problem.objective(path), problem.support()
    coupling = objective.coupling(problem.theta, objective.slopes(problem.theta), rows)
    table, inside = problem.interactions, set(rows.tolist())
    both = [
        alive and int(user) in inside and int(item) + table.users in inside
        for user, item, alive in zip(table.user, table.item, table.alive, strict=True)
    ]
    assert coupling.interactions == sum(both)


@PATHS
@numerical
@given(problem=problems())
def test_pull_along_is_the_off_diagonal_part_of_the_hessian_times_a_step(path: str, problem: Problem) -> None:
    objective, theta, rows = problem.objective(path), problem.theta, problem.support()
    hessian, each = plain_hessian(problem), torch.arange(len(theta))
    hessian[each, :, each, :] = 0
    step = problem.normal(len(rows), theta.shape[1])
    expected = torch.einsum("rksj,sj->rk", hessian[:, :, rows], step)
    near, added, _ = objective.pull_along(theta, objective.slopes(theta), rows, step)
    close(torch.zeros_like(theta).index_add(0, near, added), expected)
    again, same, _ = objective.pull_along(theta, objective.slopes(theta), rows, step)
    assert torch.equal(near, again)
    close(added, same)


@PATHS
@numerical
@given(problem=problems())
def test_neighbours_are_the_rows_at_the_far_end_and_the_rows_themselves(path: str, problem: Problem) -> None:
    objective, rows, table = problem.objective(path), problem.support(), problem.interactions
    near = dict.fromkeys(rows.tolist(), 0)
    for user, item in zip(table.user.tolist(), (table.item + table.users).tolist(), strict=True):
        if user in rows.tolist() or item in rows.tolist():
            near |= {row: near.get(row, 0) + 1 for row in (user, item)}
    reached, met = objective.neighbours(rows)
    assert dict(zip(reached.tolist(), met.tolist(), strict=True)) == dict(sorted(near.items()))
    again, same = objective.neighbours(rows)
    assert torch.equal(reached, again)
    assert torch.equal(met, same)


@PATHS
@numerical
@given(problem=problems())
def test_pull_is_what_the_gradient_loses_when_the_interactions_go(path: str, problem: Problem) -> None:
    objective, theta = problem.objective(path), problem.theta
    gone = problem.some_alive(problem.interactions)
    rows, parts = objective.pull(theta, objective.slopes(theta), torch.from_numpy(gone))
    without = problem.interactions.copy()
    without.delete(gone)
    lost = torch.zeros_like(theta)
    lost[rows] = parts
    before, after = (plain_gradient(problem, theta, table) for table in (problem.interactions, without))
    close(lost, before - after)
    assert rows.tolist() == sorted(set(rows.tolist()))


@PATHS
@numerical
@given(problem=problems())
def test_scores_of_listed_interactions_are_those_of_all(path: str, problem: Problem) -> None:
    objective, listed = problem.objective(path), torch.from_numpy(problem.some_alive(problem.interactions))
    close(objective.scores(problem.theta, listed), objective.scores(problem.theta)[listed])
