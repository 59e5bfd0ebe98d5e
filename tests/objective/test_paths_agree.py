"""The compiled path against the torch path, method by method, through deletions and moves."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given

from ifru.interactions import Columns, Interactions
from ifru.kernels.dispatch import torch_only
from ifru.models import MFConfig, model_of
from ifru.objective.bilinear import BilinearObjective
from ifru.objective.pairwise import PairwiseObjective, PairwisePoint
from tests.objective.dense_reference import Problem, numerical, problems

PRECISIONS = pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-3)])


class Twins:
    """The same point on both paths, and a comparison to a tolerance."""

    def __init__(self, problem: Problem, dtype: torch.dtype, tolerance: float) -> None:
        self.ours, self.theirs = (problem.point(path, dtype) for path in ("compiled", "torch"))
        self.dtype, self.tolerance = dtype, tolerance

    def close(self, a: torch.Tensor, b: torch.Tensor) -> None:
        assert a.dtype == b.dtype == self.dtype
        torch.testing.assert_close(a, b, rtol=self.tolerance, atol=self.tolerance)

    def points_are_close(self, ours: PairwisePoint, theirs: PairwisePoint) -> None:
        for name in ("theta", "gradient", "first", "second"):
            self.close(getattr(ours, name), getattr(theirs, name))


@PRECISIONS
@numerical
@given(problem=problems())
def test_both_paths_say_the_same_of_a_point(dtype: torch.dtype, tolerance: float, problem: Problem) -> None:
    twins = Twins(problem, dtype, tolerance)
    ours, theirs, close = twins.ours, twins.theirs, twins.close
    x, rows = problem.normal(*problem.theta.shape).to(dtype), problem.support()
    listed, users = problem.some_alive(problem.interactions), problem.interactions.users

    twins.points_are_close(ours, theirs)
    assert ours.value == pytest.approx(theirs.value, rel=tolerance)
    close(ours.objective.ridge, theirs.objective.ridge)
    close(ours.gradient_of(rows), theirs.gradient_of(rows))
    close(ours.product(x), theirs.product(x))
    for of_users, side in ((True, x[:users]), (False, x[users:])):
        close(ours.cross(side, of_users), theirs.cross(side, of_users))
    for step in (x, 1e-3 * x):
        (our_point, our_change), (their_point, their_change) = ours.advance(step), theirs.advance(step)
        twins.points_are_close(our_point, their_point)
        assert our_change == pytest.approx(their_change, rel=tolerance, abs=1e-2 * tolerance)
    close(ours.blocks(rows), theirs.blocks(rows))
    close(ours.factors(listed, listed[::2]), theirs.factors(listed, listed[::2]))
    for our_near, their_near in zip(ours.neighbours(rows), theirs.neighbours(rows), strict=True):
        assert torch.equal(our_near, their_near)
    our_near, our_added, our_read = ours.gradient_along(rows, x[rows])
    their_near, their_added, _ = theirs.gradient_along(rows, x[rows])
    assert torch.equal(our_near, their_near)
    assert our_read >= 0
    close(our_added, their_added)
    our_coupling, their_coupling = ours.coupling(rows), theirs.coupling(rows)
    assert our_coupling.interactions == their_coupling.interactions
    close(our_coupling.product(x[rows]), their_coupling.product(x[rows]))


@PRECISIONS
@numerical
@given(problem=problems())
def test_both_paths_follow_the_same_deletions_and_moves(dtype: torch.dtype, tolerance: float, problem: Problem) -> None:
    twins = Twins(problem, dtype, tolerance)
    gone = problem.some_alive(problem.interactions)
    changes = []
    for point in (twins.ours, twins.theirs):
        point.objective.interactions.delete(gone)
        changes.append(point.objective.remove(point, gone))
    assert torch.equal(changes[0].rows, changes[1].rows)
    twins.close(changes[0].direct, changes[1].direct)
    twins.points_are_close(twins.ours, twins.theirs)

    x, rows = problem.normal(*problem.theta.shape).to(dtype), problem.support()
    for point in (twins.ours, twins.theirs):
        before = point.theta[rows].clone()
        point.theta[rows] += x[rows]
        point.update(rows, before)
    twins.points_are_close(twins.ours, twins.theirs)

    for of_users in (True, False):
        side = rows[(rows < problem.interactions.users) == of_users]
        found = []
        for point in (twins.ours, twins.theirs):
            before = point.theta[side].clone()
            point.theta[side] -= 0.5 * x[side]
            found.append(point.update_side(side, before, 2.5 * problem.config.l2))
        order = found[0].reached.argsort()
        assert torch.equal(found[0].reached[order], found[1].reached)
        twins.close(found[0].penalised[order].to(dtype), found[1].penalised.to(dtype))
        assert found[0].interactions_read == found[1].interactions_read
        twins.close(found[0].gains, found[1].gains)
        twins.points_are_close(twins.ours, twins.theirs)
        twins.close(twins.ours.gradient, twins.ours.objective.at(twins.ours.theta).gradient)


def test_compiled_loops_are_taken_on_the_cpu_unless_they_are_forbidden() -> None:
    table = Interactions(Columns(*(np.zeros(1, kind) for kind in "iiff"), None, np.arange(1)), 1, 1)
    model = model_of(MFConfig(rank=2, l2=0.1))
    assert type(model.objective(table, torch.device("cpu"), torch.float32)) is BilinearObjective
    with torch_only():
        assert type(model.objective(table, torch.device("cpu"), torch.float32)) is PairwiseObjective


@pytest.mark.parametrize("bias", [False, True])
def test_loops_that_cores_share_give_the_same(bias: bool) -> None:
    random, count = np.random.default_rng(3), 12_000
    columns = Columns(
        user=random.integers(0, 90, count).astype(np.int32),
        item=(70 * random.random(count) ** 2).astype(np.int32),
        label=random.integers(0, 2, count).astype(np.float32),
        weight=np.ones(count, dtype=np.float32),
        time=None,
        origin=np.arange(count),
    )
    config = MFConfig(rank=5, bias=bias, l2=0.1)
    table = Interactions(columns, 90, 70, random.random(count) < 0.9)
    theta = torch.from_numpy(random.normal(size=(160, 5 + bias)))
    problem = Problem(table, config, theta, random)
    twins = Twins(problem, torch.float64, 1e-9)
    rows, step = torch.arange(0, 160, 2), problem.normal(*theta.shape)

    (near, ours, _), (same, theirs, _) = (p.gradient_along(rows, step[rows]) for p in (twins.ours, twins.theirs))
    assert torch.equal(near, same)
    twins.close(ours, theirs)
    for point in (twins.ours, twins.theirs):
        before = point.theta[rows].clone()
        point.theta[rows] += step[rows]
        assert point.update(rows, before) > 4096
    twins.points_are_close(twins.ours, twins.theirs)
    for side in (rows[rows < 90], rows[rows >= 90]):
        found = []
        for point in (twins.ours, twins.theirs):
            before = point.theta[side].clone()
            point.theta[side] -= 0.5 * step[side]
            found.append(point.update_side(side, before, 1.0))
        order = found[0].reached.argsort()
        assert torch.equal(found[0].reached[order], found[1].reached)
        twins.close(found[0].gains, found[1].gains)
        twins.points_are_close(twins.ours, twins.theirs)


def test_interactions_beyond_one_chunk_count_like_the_others() -> None:
    """The torch path gathers rows for a quarter of a million interactions at a time."""
    random, rows = np.random.default_rng(0), (1 << 18) + 1000
    columns = Columns(
        user=random.integers(0, 50, rows).astype(np.int32),
        item=random.integers(0, 50, rows).astype(np.int32),
        label=random.integers(0, 2, rows).astype(np.float32),
        weight=np.ones(rows, dtype=np.float32),
        time=None,
        origin=np.arange(rows),
    )
    theta = torch.from_numpy(random.normal(size=(100, 2)))
    twins = Twins(Problem(Interactions(columns, 50, 50), MFConfig(rank=2, l2=0.1), theta, random), torch.float64, 1e-7)
    twins.points_are_close(twins.ours, twins.theirs)
    twins.close(twins.ours.product(theta), twins.theirs.product(theta))
    assert len(twins.theirs.first) == rows
