"""The compiled path against the torch path, method by method, through deletions and moves."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given

from ifru.interactions import Columns, Interactions
from ifru.models import MFConfig, model_of
from ifru.models.mf import MatrixFactorization
from ifru.objective import CompiledObjective, TorchObjective
from ifru.objective.losses import loss_of
from tests.objective.dense_reference import Problem, numerical, problems

PRECISIONS = pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-3)])


@PRECISIONS
@numerical
@given(problem=problems())
def test_both_paths_give_the_same(dtype: torch.dtype, tolerance: float, problem: Problem) -> None:
    def close(a: torch.Tensor, b: torch.Tensor) -> None:
        assert a.dtype == b.dtype == dtype
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)

    compiled, reference = (problem.objective(path, dtype) for path in ("compiled", "torch"))
    gone = problem.some_alive(compiled.interactions)
    for objective in (compiled, reference):
        objective.interactions.delete(gone)
        objective.delete(gone)
    theta, x, rows = problem.theta.to(dtype), problem.normal(*problem.theta.shape).to(dtype), problem.support()
    listed = torch.from_numpy(problem.some_alive(compiled.interactions))
    ours, theirs = compiled.slopes(theta), reference.slopes(theta)

    assert compiled.value(theta) == pytest.approx(reference.value(theta), rel=tolerance)
    close(compiled.ridge, reference.ridge)
    close(compiled.scores(theta, listed), reference.scores(theta, listed))
    close(ours.first, theirs.first)
    close(ours.second, theirs.second)
    close(compiled.gradient(theta, ours), reference.gradient(theta, theirs))
    close(compiled.gradient(theta, ours, rows), reference.gradient(theta, theirs, rows))
    close(compiled.product(theta, ours, x), reference.product(theta, theirs, x))
    for of_users, side in ((True, x[: compiled.users]), (False, x[compiled.users :])):
        close(compiled.across(theta, ours, side, of_users), reference.across(theta, theirs, side, of_users))
    for step in (x, 1e-3 * x):
        our_advance, their_advance = compiled.advance(theta, ours, step), reference.advance(theta, theirs, step)
        close(our_advance.theta, their_advance.theta)
        close(our_advance.slopes.first, their_advance.slopes.first)
        close(our_advance.slopes.second, their_advance.slopes.second)
        close(our_advance.gradient, their_advance.gradient)
        assert our_advance.change == pytest.approx(their_advance.change, rel=tolerance, abs=1e-2 * tolerance)
    close(compiled.blocks(theta, ours, rows), reference.blocks(theta, theirs, rows))
    ours_listed, theirs_listed = (
        o.factors(theta, s, listed.numpy(), listed.numpy()[::2]) for o, s in ((compiled, ours), (reference, theirs))
    )
    close(ours_listed, theirs_listed)
    our_pull, their_pull = compiled.pull(theta, ours, listed), reference.pull(theta, theirs, listed)
    assert torch.equal(our_pull[0], their_pull[0])
    close(our_pull[1], their_pull[1])
    our_near, our_added, _ = compiled.pull_along(theta, ours, rows, x[rows])
    their_near, their_added, _ = reference.pull_along(theta, theirs, rows, x[rows])
    assert torch.equal(our_near, their_near)
    close(our_added, their_added)
    for our_near, their_near in zip(compiled.neighbours(rows), reference.neighbours(rows), strict=True):
        assert torch.equal(our_near, their_near)
    our_coupling, their_coupling = compiled.coupling(theta, ours, rows), reference.coupling(theta, theirs, rows)
    assert our_coupling.interactions == their_coupling.interactions
    close(our_coupling.product(x[rows]), their_coupling.product(x[rows]))

    debts = compiled.gradient(theta, ours), reference.gradient(theta, theirs)
    before = theta[rows].clone()
    theta[rows] += x[rows]
    compiled.spread(before, theta, ours, rows, debts[0])
    reference.spread(before, theta, theirs, rows, debts[1])
    close(*debts)
    close(ours.first, theirs.first)
    close(ours.second, theirs.second)

    for of_users in (True, False):
        side = rows[(rows < compiled.users) == of_users]
        before = theta[side].clone()
        theta[side] -= 0.5 * x[side]
        heavy = 2.5 * problem.config.l2
        our_spread = compiled.spread_side(before, theta, ours, side, debts[0], heavy)
        their_spread = reference.spread_side(before, theta, theirs, side, debts[1], heavy)
        order = our_spread.reached.argsort()
        assert torch.equal(our_spread.reached[order], their_spread.reached)
        close(our_spread.owed[order].to(dtype), their_spread.owed.to(dtype))
        assert our_spread.interactions_read == their_spread.interactions_read
        close(our_spread.gains, their_spread.gains)
        close(*debts)
        close(debts[0], compiled.gradient(theta, compiled.slopes(theta)))
        close(ours.first, theirs.first)
        close(ours.second, theirs.second)


@numerical
@given(problem=problems())
def test_compiled_loops_are_taken_on_the_cpu(problem: Problem) -> None:
    objective = model_of(problem.config).objective(problem.interactions, torch.device("cpu"), torch.float32)
    assert isinstance(objective, CompiledObjective)
    assert objective.dtype == torch.float32


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
    theta = torch.from_numpy(random.normal(size=(160, model_of(config).width)))
    problem = Problem(table, config, theta, random)
    compiled, reference = (problem.objective(path) for path in ("compiled", "torch"))
    ours, theirs = compiled.slopes(theta), reference.slopes(theta)
    rows, step = torch.arange(0, 160, 2), problem.normal(*theta.shape)
    debts = compiled.gradient(theta, ours), reference.gradient(theta, theirs)

    our_pull, their_pull = (
        o.pull_along(theta, s, rows, step[rows]) for o, s in ((compiled, ours), (reference, theirs))
    )
    assert torch.equal(our_pull[0], their_pull[0])
    torch.testing.assert_close(our_pull[1], their_pull[1])
    before = theta[rows].clone()
    theta[rows] += step[rows]
    assert compiled.spread(before, theta, ours, rows, debts[0]) > 2 * 4096
    reference.spread(before, theta, theirs, rows, debts[1])
    torch.testing.assert_close(*debts)
    for side in (rows[rows < 90], rows[rows >= 90]):
        before = theta[side].clone()
        theta[side] -= 0.5 * step[side]
        our_spread = compiled.spread_side(before, theta, ours, side, debts[0], 1.0)
        their_spread = reference.spread_side(before, theta, theirs, side, debts[1], 1.0)
        order = our_spread.reached.argsort()
        assert torch.equal(our_spread.reached[order], their_spread.reached)
        torch.testing.assert_close(our_spread.owed[order], their_spread.owed)
        torch.testing.assert_close(our_spread.gains, their_spread.gains)
        assert our_spread.interactions_read == their_spread.interactions_read
        torch.testing.assert_close(*debts)
    torch.testing.assert_close(ours.first, theirs.first)


def test_a_model_that_is_no_dot_product_is_refused_by_the_compiled_path() -> None:
    class Other:
        width, dot_product = 2, None

    with pytest.raises(ValueError, match="dot product"):
        CompiledObjective(Other(), None, 0.1, None, torch.float64)  # type: ignore[arg-type]


def test_theta_is_as_wide_as_the_model_says() -> None:
    assert model_of(MFConfig(rank=3, l2=0.1)).width == 3
    assert model_of(MFConfig(rank=3, l2=0.1, bias=True)).width == 4


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
    table, theta = Interactions(columns, 50, 50), torch.from_numpy(random.normal(size=(100, 2)))
    compiled = CompiledObjective(
        MatrixFactorization(MFConfig(rank=2, l2=0.1)), loss_of("bce"), 0.1, table, torch.float64
    )
    reference = TorchObjective(
        MatrixFactorization(MFConfig(rank=2, l2=0.1)), loss_of("bce"), 0.1, table, torch.device("cpu"), torch.float64
    )
    slopes = reference.slopes(theta)
    torch.testing.assert_close(reference.gradient(theta, slopes), compiled.gradient(theta, slopes))
    torch.testing.assert_close(reference.product(theta, slopes, theta), compiled.product(theta, slopes, theta))
    assert len(reference.scores(theta)) == rows
