"""The loss of preferences: derivatives against autograd, deletions against objectives made anew, both paths."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ifru.errors import DataError
from ifru.interactions import Columns, Interactions
from ifru.models import MFConfig, model_of
from ifru.objective.bpr import BPRPoint
from tests.objective.dense_reference import numerical
from tests.objective.preferences import CPU, Problem, plain_blocks, plain_gradient, plain_objective, problems

PATHS = pytest.mark.parametrize("path", ["compiled", "torch"])
MODELS = pytest.mark.parametrize("model", ["mf", "lightgcn"])


def close(actual: torch.Tensor, expected: torch.Tensor, tolerance: float = 1e-8) -> None:
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)


@MODELS
@PATHS
@numerical
@given(data=st.data())
def test_value_gradient_and_product_are_autograds(path: str, model: str, data: st.DataObject) -> None:
    problem: Problem = data.draw(problems(model))
    point, table, theta = problem.objective(path).at(problem.theta), problem.interactions, problem.theta
    assert point.value == pytest.approx(float(plain_objective(problem, theta, table)), rel=1e-8, abs=1e-8)
    close(point.gradient, plain_gradient(problem, theta, table))
    x = problem.normal(*theta.shape)
    expected = torch.func.jvp(lambda at: plain_gradient(problem, at, table), (theta,), (x,))[1]
    close(point.product(x), expected)


@MODELS
@PATHS
@pytest.mark.parametrize("size", [1.0, 1e-6])
@numerical
@given(data=st.data())
def test_a_step_leads_where_it_leads_and_its_change_has_its_own_digits(
    path: str, model: str, size: float, data: st.DataObject
) -> None:
    problem: Problem = data.draw(problems(model))
    objective = problem.objective(path)
    x = size * problem.normal(*problem.theta.shape)
    there, change = objective.at(problem.theta).advance(x)
    close(there.gradient, objective.at(problem.theta + x).gradient)
    halfway = [plain_gradient(problem, problem.theta + at * x, problem.interactions) for at in (0.0, 0.5, 1.0)]
    simpson = sum(c * float((g * x).sum()) for c, g in zip((1, 4, 1), halfway, strict=True)) / 6
    if size < 1:
        assert change == pytest.approx(simpson, rel=1e-6, abs=1e-13)
    else:
        plain = [float(plain_objective(problem, at, problem.interactions)) for at in (problem.theta, problem.theta + x)]
        assert change == pytest.approx(plain[1] - plain[0], rel=1e-8, abs=1e-8)


@PATHS
@numerical
@given(problem=problems("mf"))
def test_blocks_are_gauss_newtons_and_the_sum_of_their_factors(path: str, problem: Problem) -> None:
    table = problem.interactions
    objective = problem.objective(path)
    point, rows = objective.at(problem.theta), torch.arange(len(problem.theta))
    expected = plain_blocks(problem, problem.theta, table)
    close(point.blocks(rows), expected)
    close(point.blocks(rows[::2]), expected[::2])
    nothing = np.empty(0, dtype=np.int64)
    for row in rows.tolist():
        ends = table.user if row < table.users else table.item + table.users
        mine = np.flatnonzero(table.alive & (ends == row))
        factors = point.factors(mine, nothing) if row < table.users else point.factors(nothing, mine)
        eye = torch.eye(factors.shape[1], dtype=torch.float64)
        close(factors.mT @ factors + objective.ridge[row] * eye, expected[row])


@MODELS
@PATHS
@numerical
@given(data=st.data())
def test_any_deletion_leaves_the_point_of_an_objective_made_anew(path: str, model: str, data: st.DataObject) -> None:
    problem: Problem = data.draw(problems(model))
    objective, x = problem.objective(path), problem.normal(*problem.theta.shape)
    point = objective.at(problem.theta.clone())
    for _ in range(3):
        table = objective.interactions
        gone, before = problem.some_alive(table), point.gradient.clone()
        table.delete(gone)
        change = objective.remove(point, gone)
        point = change.point
        expected = torch.zeros_like(before) if change.spillover is None else change.spillover.clone()
        expected[change.rows] += change.direct
        kept = torch.from_numpy(table.degree > 0)
        close(point.gradient[kept], (before + expected)[kept])
        fresh = Problem(table, problem.config, problem.theta, problem.random).objective(path).at(point.theta)
        close(point.gradient, fresh.gradient)
        close(point.product(x), fresh.product(x))
        close(point.blocks(torch.arange(len(x))), fresh.blocks(torch.arange(len(x))))
        close(objective.ridge, fresh.objective.ridge)


@PATHS
@numerical
@given(problem=problems("mf"))
def test_a_move_of_some_rows_is_followed_exactly_and_reaches_only_neighbours(path: str, problem: Problem) -> None:
    objective = problem.objective(path)
    point = objective.at(problem.theta.clone())
    assert isinstance(point, BPRPoint)
    rows = torch.from_numpy(np.flatnonzero(problem.random.random(len(problem.theta)) < 0.4))
    old, before = point.gradient.clone(), point.theta[rows].clone()
    point.theta[rows] += problem.normal(*before.shape)
    point.update(rows, before)
    fresh = objective.at(point.theta)
    close(point.gradient, fresh.gradient)
    close(point.product(point.theta), fresh.product(point.theta))
    near, met = point.neighbours(rows)
    moved = (point.gradient - old).abs().sum(1) > 1e-12
    assert set(moved.nonzero()[:, 0].tolist()) <= set(near.tolist())
    assert len(near) == len(met)


@PATHS
@numerical
@given(problem=problems("mf"))
def test_a_block_loses_the_deleted_factors_and_no_more_where_it_is_not_named_stale(path: str, problem: Problem) -> None:
    objective, table = problem.objective(path), problem.interactions
    point, rows = objective.at(problem.theta.clone()), torch.arange(len(problem.theta))
    gone = problem.some_alive(table)
    before, lost = point.blocks(rows), torch.zeros(len(rows), *[problem.theta.shape[1]] * 2, dtype=torch.float64)
    nothing = np.empty(0, dtype=np.int64)
    of_user, of_item = point.factors(gone, nothing), point.factors(nothing, gone)
    lost.index_add_(0, torch.from_numpy(table.user[gone]).long(), of_user[:, :, None] * of_user[:, None, :])
    ends = torch.from_numpy(table.item[gone]).long() + table.users
    lost.index_add_(0, ends, of_item[:, :, None] * of_item[:, None, :])
    ridge = objective.ridge.clone()
    objective.interactions.delete(gone)
    change = objective.remove(point, gone)
    eye = torch.eye(problem.theta.shape[1], dtype=torch.float64)
    expected = before - lost - (ridge - objective.ridge)[:, None, None] * eye
    stale = torch.zeros(len(rows), dtype=torch.bool)
    assert change.stale is not None
    stale[change.stale] = True
    close(change.point.blocks(rows)[~stale], expected[~stale])


@numerical
@given(problem=problems("mf"))
def test_with_their_negatives_deleted_positives_leave_no_block_stale(problem: Problem) -> None:
    objective = problem.objective("compiled")
    table = objective.interactions
    gone = table.with_companions(problem.some_alive(table)[::2])
    gone = gone[np.isin(table.origin[gone], gone)]
    point = objective.at(problem.theta.clone())
    table.delete(gone)
    stale = objective.remove(point, gone).stale
    assert stale is not None
    assert len(stale) == 0


@MODELS
@numerical
@given(data=st.data())
def test_both_paths_agree_in_single_precision(model: str, data: st.DataObject) -> None:
    problem: Problem = data.draw(problems(model))
    x = problem.normal(*problem.theta.shape).float()
    points = [problem.objective(path, torch.float32).at(problem.theta.float()) for path in ("compiled", "torch")]
    ours, theirs = ([p.gradient, p.product(x), p.advance(x)[0].gradient] for p in points)
    for mine, other in zip(ours, theirs, strict=True):
        close(mine, other, 1e-3)


def test_a_negative_of_another_users_positive_is_refused() -> None:
    ones = np.ones(2, dtype=np.float32)
    columns = Columns(np.array([0, 1], np.int32), np.zeros(2, np.int32), ones, ones, None, np.array([0, 0]))
    with pytest.raises(DataError, match=r"1 sampled negatives .* user row 1, item row 0"):
        model_of(MFConfig(rank=1, loss="bpr", l2=0.1)).objective(Interactions(columns, 2, 1), CPU, torch.float64)
