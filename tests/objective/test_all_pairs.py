"""The objective of all pairs against autograd over every single pair, on both paths, through deletions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given

from tests.objective.all_pairs_reference import (
    Problem,
    plain_gradient,
    plain_hessian,
    plain_objective,
    problems,
)
from tests.objective.dense_reference import numerical

PATHS = pytest.mark.parametrize("path", ["compiled", "torch"])


def close(actual: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-8, atol=1e-8)


@PATHS
@numerical
@given(problem=problems())
def test_value_and_gradient_are_those_of_the_sum_over_all_pairs(path: str, problem: Problem) -> None:
    point = problem.point(path)
    expected = float(plain_objective(problem, problem.theta, problem.interactions))
    assert point.value == pytest.approx(expected, rel=1e-9, abs=1e-9)
    close(point.gradient, plain_gradient(problem, problem.theta, problem.interactions))


@PATHS
@numerical
@given(problem=problems())
def test_hessian_products_are_autograds(path: str, problem: Problem) -> None:
    point, hessian, x = problem.point(path), plain_hessian(problem), problem.normal()
    close(point.product(x), torch.einsum("rksj,sj->rk", hessian, x))
    users, of_users, of_items = problem.interactions.users, torch.zeros_like(x), torch.zeros_like(x)
    of_users[:users], of_items[users:] = x[:users], x[users:]
    close(point.cross(x[:users], True), torch.einsum("rksj,sj->rk", hessian, of_users)[users:])
    close(point.cross(x[users:], False), torch.einsum("rksj,sj->rk", hessian, of_items)[:users])


@PATHS
@numerical
@given(problem=problems())
def test_blocks_are_the_hessians_own_and_positive_definite_where_there_are_interactions(
    path: str, problem: Problem
) -> None:
    point, hessian, rows = problem.point(path), plain_hessian(problem), torch.arange(len(problem.theta))
    blocks, has = point.blocks(rows), torch.from_numpy(problem.interactions.degree > 0)
    own = hessian.diagonal(dim1=0, dim2=2).permute(2, 0, 1)
    close(blocks[has], own[has])
    close(blocks[~has], torch.zeros_like(blocks[~has]))
    assert bool((torch.linalg.eigvalsh(blocks[has]) > 0).all())


@PATHS
@numerical
@given(problem=problems())
def test_a_step_leads_to_the_objective_there(path: str, problem: Problem) -> None:
    point, step = problem.point(path), problem.normal()
    step[problem.interactions.degree == 0] = 0
    there, change = point.advance(step)
    theta = problem.theta + step
    values = [float(plain_objective(problem, at, problem.interactions)) for at in (problem.theta, theta)]
    close(there.theta, theta)
    close(there.gradient, plain_gradient(problem, theta, problem.interactions))
    assert change == pytest.approx(values[1] - values[0], rel=1e-8, abs=1e-8)
    assert there.value == pytest.approx(values[1], rel=1e-8, abs=1e-8)


@PATHS
@numerical
@given(problem=problems())
def test_the_change_of_a_tiny_step_keeps_its_digits(path: str, problem: Problem) -> None:
    point, step = problem.point(path), 1e-9 * problem.normal()
    step[problem.interactions.degree == 0] = 0
    _, change = point.advance(step)
    expected = float((point.gradient * step).sum() + 0.5 * (step * point.product(step)).sum())
    size = float((point.gradient.abs() * step.abs()).sum())
    assert change == pytest.approx(expected, abs=1e-6 * size + 1e-22)


@PATHS
@numerical
@given(problem=problems())
def test_deletions_leave_the_gradient_of_the_retained_objective(path: str, problem: Problem) -> None:
    """Copies of pairs go one after the other, and rows lose all that they have."""
    point, theta = problem.point(path), problem.theta.clone()
    objective = point.objective
    for _ in range(4):
        table = objective.interactions
        before = point.gradient.clone()
        deleted = table.delete(np.flatnonzero(problem.random.random(len(table)) < 0.4))
        change = objective.remove(point, deleted)
        point = change.point
        theta[table.degree == 0] = 0
        expected = plain_gradient(problem, theta, table)
        close(point.theta, theta)
        close(point.gradient, expected)
        close(objective.at(theta.clone()).gradient, expected)
        assert objective.at(theta).value == pytest.approx(float(plain_objective(problem, theta, table)), abs=1e-8)
        added = torch.zeros_like(theta) if change.spillover is None else change.spillover.clone()
        added.index_add_(0, change.rows, change.direct)
        has = torch.from_numpy(table.degree > 0)
        close((before + added)[has], expected[has])


@numerical
@given(problem=problems())
def test_both_paths_agree_in_float32(problem: Problem) -> None:
    ours, theirs = (problem.point(path, torch.float32) for path in ("compiled", "torch"))
    x = problem.normal().float()
    for mine, other in (
        (ours.gradient, theirs.gradient),
        (ours.product(x), theirs.product(x)),
        (ours.advance(x)[0].gradient, theirs.advance(x)[0].gradient),
    ):
        assert mine.dtype == torch.float32
        torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-3)
