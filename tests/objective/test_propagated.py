"""LightGCN's objective, on both paths, against autograd through the dense propagation in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ifru.interactions import Interactions
from ifru.models.lightgcn import LightGCN, LightGCNConfig
from ifru.objective.propagated import PropagatedObjective
from tests.objective.dense_reference import numerical
from tests.objective.graph_reference import (
    CPU,
    Problem,
    components,
    plain_gradient,
    plain_objective,
    plain_propagation,
    problems,
)

PATHS = pytest.mark.parametrize("path", ["compiled", "torch"])


def close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-8, atol=1e-8)


def plain_loss(problem: Problem, theta: Tensor, table: Interactions) -> Tensor:
    """L."""
    return plain_objective(problem, theta, plain_propagation(problem, table), table, table.alive)


def plain_slope(problem: Problem, theta: Tensor, table: Interactions) -> Tensor:
    """∇L."""
    return plain_gradient(problem, theta, plain_propagation(problem, table), table, table.alive)


@PATHS
@numerical
@given(problem=problems())
def test_value_and_gradient_are_autograds(path: str, problem: Problem) -> None:
    point = problem.objective(path).at(problem.theta)
    expected = float(plain_loss(problem, problem.theta, problem.interactions))
    assert point.value == pytest.approx(expected, rel=1e-8, abs=1e-8)
    close(point.gradient, plain_slope(problem, problem.theta, problem.interactions))


@PATHS
@numerical
@given(problem=problems())
def test_hessian_product_is_autograds(path: str, problem: Problem) -> None:
    x = problem.normal(*problem.theta.shape)
    hessian = torch.func.hessian(lambda at: plain_loss(problem, at, problem.interactions))(problem.theta)
    close(problem.objective(path).at(problem.theta).product(x), torch.einsum("rksj,sj->rk", hessian, x))


@PATHS
@numerical
@given(problem=problems(), size=st.sampled_from([1.0, 1e-3]))
def test_advance_leads_to_the_point_at_the_sum_and_says_what_l_gained(path: str, problem: Problem, size: float) -> None:
    objective, x = problem.objective(path), size * problem.normal(*problem.theta.shape)
    point = objective.at(problem.theta)
    kept = point.gradient.clone()
    ahead, change = point.advance(x)
    there = objective.at(problem.theta + x)
    close(ahead.theta, there.theta)
    close(ahead.gradient, there.gradient)
    close(ahead.product(x), there.product(x))
    assert ahead.value == pytest.approx(there.value, rel=1e-8, abs=1e-8)
    assert change == pytest.approx(there.value - point.value, rel=1e-6, abs=1e-8)
    assert torch.equal(point.gradient, kept)


@PATHS
@numerical
@given(problem=problems())
def test_direct_is_what_the_deleted_terms_gave_and_spillover_what_the_others_gain(path: str, problem: Problem) -> None:
    objective, theta = problem.objective(path), problem.theta
    table = objective.interactions
    gone = problem.some_alive(table)
    before = plain_propagation(problem, table)
    deleted = np.isin(np.arange(len(table)), gone)
    point, had = objective.at(theta.clone()), objective.ridge > 0
    table.delete(gone)
    change = objective.remove(point, gone)

    expected = -plain_gradient(problem, theta, before, table, deleted)
    close(torch.zeros_like(theta).index_add_(0, change.rows, change.direct), expected)
    after = plain_slope(problem, theta, table)
    spillover = after - plain_gradient(problem, theta, before, table, table.alive)
    close(torch.zeros_like(theta) if change.spillover is None else change.spillover, spillover)
    close(change.point.gradient, after)
    ends = [*table.user[gone], *(table.item[gone] + table.users)]
    assert {int(row) for row in ends} <= set(change.rows.tolist())
    assert change.rows.tolist() == sorted(set(change.rows.tolist()))
    assert bool(had[change.rows].all())


@PATHS
@numerical
@given(problem=problems(), steps=st.lists(st.sampled_from(["delete", "move"]), min_size=1, max_size=6))
def test_the_point_after_deletions_and_moves_is_the_one_computed_anew(
    path: str, problem: Problem, steps: list[str]
) -> None:
    objective = problem.objective(path)
    point = objective.at(problem.theta.clone())
    for step in steps:
        if step == "delete":
            gone = problem.some_alive(objective.interactions)
            objective.interactions.delete(gone)
            after = objective.remove(point, gone).point
            assert isinstance(after, type(point))
            point = after
        else:
            point, _ = point.advance(problem.normal(*problem.theta.shape))
    fresh = problem_on(problem, objective.interactions).objective(path).at(point.theta)
    x, rows = problem.normal(*problem.theta.shape), torch.arange(len(problem.theta))
    close(point.gradient, fresh.gradient)
    close(point.product(x), fresh.product(x))
    close(point.blocks(rows), fresh.blocks(rows))
    close(objective.ridge, fresh.objective.ridge)


def problem_on(problem: Problem, table: Interactions) -> Problem:
    return Problem(table, problem.config, problem.theta, problem.random)


@PATHS
@numerical
@given(problem=problems())
def test_blocks_are_positive_definite_and_the_sum_of_their_factors(path: str, problem: Problem) -> None:
    objective, table = problem.objective(path), problem.interactions
    point = objective.at(problem.theta)
    rows = torch.from_numpy(problem.some(len(problem.theta)))
    blocks = point.blocks(rows)
    assert bool((torch.linalg.eigvalsh(blocks[objective.ridge[rows] > 0]) > 0).all())
    for row, block in zip(rows.tolist(), blocks, strict=True):
        ends = table.user if row < table.users else table.item + table.users
        mine, nothing = np.flatnonzero(table.alive & (ends == row)), np.empty(0, dtype=np.int64)
        factors = point.factors(mine, nothing) if row < table.users else point.factors(nothing, mine)
        close(factors.mT @ factors + objective.ridge[row] * torch.eye(block.shape[0], dtype=block.dtype), block)


@settings(numerical, max_examples=15)
@given(problem=problems())
def test_both_paths_agree_in_single_precision(problem: Problem) -> None:
    x = problem.normal(*problem.theta.shape).float()
    points = [problem.objective(path, torch.float32).at(problem.theta.float()) for path in ("compiled", "torch")]
    ours, theirs = ([p.gradient, p.product(x), p.advance(x)[0].gradient] for p in points)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-3)


def many_components() -> tuple[PropagatedObjective, Tensor]:
    table = components(30)
    objective = LightGCN(LightGCNConfig(rank=3, l2=0.1, layers=2)).objective(table, CPU, torch.float64)
    assert isinstance(objective, PropagatedObjective)
    return objective, torch.from_numpy(np.random.default_rng(0).normal(size=(120, 3)))


def test_a_deletion_in_a_small_component_is_followed_there_alone() -> None:
    """What lies apart is not read: a gradient that was falsified there stays as it is."""
    objective, theta = many_components()
    point, before = objective.at(theta.clone()), objective.at(theta).gradient
    point.gradient[50] = 7.0
    gone = np.array([0])
    objective.interactions.delete(gone)
    change = objective.remove(point, gone)
    fresh = objective.at(theta).gradient
    assert change.rows.tolist() == [0, 1, 60, 61]
    assert bool((change.point.gradient[50] == 7.0).all())
    torch.testing.assert_close(change.point.gradient[change.rows], fresh[change.rows], rtol=1e-12, atol=1e-12)
    assert bool((fresh[change.rows] != before[change.rows]).any(1).all())


def test_a_deletion_that_is_followed_locally_gives_what_computing_everything_does() -> None:
    objective, theta = many_components()
    point = objective.at(theta.clone())
    for gone in (np.array([0]), np.array([9, 14]), np.array([1, 2, 3])):
        objective.interactions.delete(gone)
        after = objective.remove(point, gone)
        assert len(after.rows) < len(theta)
        assert isinstance(after.point, type(point))
        point, fresh = after.point, objective.at(theta)
        for ours, theirs in ((point.gradient, fresh.gradient), (point.product(theta), fresh.product(theta))):
            torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_a_point_of_another_objective_is_refused() -> None:
    objective, theta = many_components()
    with pytest.raises(TypeError, match="PropagatedObjective"):
        objective.remove(objective.data.at(theta), np.array([0]))
