"""Newton systems with one side eliminated, against dense solves and against conjugate gradients on both sides."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from torch import Tensor

from ifru.curvature.preconditioner import Preconditioner, diagonals, whole
from ifru.interactions import Columns, Interactions
from ifru.models import MFConfig
from ifru.solvers.elimination import Elimination
from ifru.solvers.pcg import Limits, Solution, solve
from ifru.solvers.reason import Reason
from tests.objective.dense_reference import Problem, numerical, plain_hessian, problems

EXACT = Limits(tolerance=1e-12, iterations=200)
PATHS = pytest.mark.parametrize("path", ["compiled", "torch"])


class System:
    """H x = b at a problem's parameters, with everything that a solve is given."""

    def __init__(self, problem: Problem, path: str) -> None:
        self.point, self.theta = problem.point(path), problem.theta
        self.b = problem.normal(*self.theta.shape)
        self.b[self.point.objective.ridge == 0] = 0
        self.m = whole(self.point, np.arange(len(self.theta)))
        self.scaled = self.m.apply(self.b)
        self.norm = math.sqrt(float((self.b * self.scaled).sum()))

    def eliminated(self, limits: Limits, preconditioner: Preconditioner | None = None, stops: bool = False) -> Solution:
        found = Elimination.of(self.point, preconditioner or self.m)
        assert found is not None
        return found.solve(self.b, self.scaled, self.norm, limits, lambda: stops)

    def on_both_sides(self, limits: Limits) -> Solution:
        return solve(lambda x, _: self.point.product(x), self.m.apply, self.b, limits)


def convex(problem: Problem) -> tuple[Problem, Tensor]:
    """The problem where its Hessian [n, n] is positive definite on rows that have interactions, and that Hessian."""
    problem = replace(problem, theta=0.1 * problem.theta, config=problem.config.model_copy(update={"l2": 2.0}))
    degree = problem.interactions.degree
    problem.theta[torch.from_numpy(degree == 0)] = 0
    size = problem.theta.numel()
    hessian = plain_hessian(problem).reshape(size, size)
    alone = torch.from_numpy(np.repeat(degree == 0, problem.theta.shape[1]))
    hessian = hessian + torch.diag(alone.double())
    assume(bool(torch.linalg.eigvalsh(hessian).min() > 1e-3))
    return problem, hessian


@PATHS
@numerical
@given(problem=problems())
def test_it_is_the_dense_solve(path: str, problem: Problem) -> None:
    problem, hessian = convex(problem)
    system = System(problem, path)
    found = system.eliminated(EXACT)
    expected = torch.linalg.solve(hessian, system.b.reshape(-1)).reshape(system.b.shape)
    torch.testing.assert_close(found.x, expected, rtol=1e-8, atol=1e-8)


@numerical
@given(problem=problems())
def test_a_solution_cut_short_says_what_is_true_of_it(problem: Problem) -> None:
    problem, hessian = convex(problem)
    system = System(problem, "compiled")
    found = system.eliminated(Limits(1e-10, 1))
    x, b = found.x.reshape(-1), system.b.reshape(-1)
    torch.testing.assert_close(found.residual.reshape(-1), b - hessian @ x, rtol=1e-8, atol=1e-8)
    assert found.residual_norm == pytest.approx(math.sqrt(float(system.m.decrements(found.residual).sum())), abs=1e-8)
    assert found.initial_norm == system.norm
    assert found.decrease == pytest.approx(float(b @ x - 0.5 * x @ hessian @ x), rel=1e-8, abs=1e-10)
    assert found.iterations <= 2


@numerical
@given(problem=problems())
def test_a_side_whose_blocks_are_not_at_hand_is_kept(problem: Problem) -> None:
    problem, hessian = convex(problem)
    system = System(problem, "compiled")
    users, rows = system.point.objective.interactions.users, np.arange(len(problem.theta))
    exact = dict(enumerate(system.m.split(users)))
    listed = rows[:users], rows[users:]
    expected = torch.linalg.solve(hessian, system.b.reshape(-1)).reshape(system.b.shape)
    for side in (0, 1):
        fallback = diagonals(system.point, listed[side], listed[side])
        at = listed[1 - side]
        mixed = Preconditioner((_Placed(exact[1 - side], torch.from_numpy(at)),), fallback)
        torch.testing.assert_close(system.eliminated(EXACT, mixed).x, expected, rtol=1e-7, atol=1e-7)
    nothing = Preconditioner((), diagonals(system.point, rows, rows))
    assert Elimination.of(system.point, nothing) is None


class _Placed:
    """A preconditioner as a part of a set of more rows: of those at [P], which are all before or all after a border."""

    def __init__(self, inner: Preconditioner, at: Tensor) -> None:
        self.inner, self.at = inner, at

    def split(self, border: int) -> tuple[_Placed, _Placed]:
        empty = _Placed(Preconditioner(()), self.at[:0])
        if len(self.at) == 0 or int(self.at[0]) < border:
            return self, empty
        return empty, _Placed(self.inner, self.at - border)

    def into(self, x: Tensor, out: Tensor) -> None:
        out[self.at] = self.inner.apply(x[self.at])


def ratings(users: int, items: int, rows: int) -> Problem:
    random = np.random.default_rng(0)
    columns = Columns(
        user=random.integers(0, users, rows).astype(np.int32),
        item=(items * random.random(rows) ** 2).astype(np.int32),
        label=random.integers(0, 2, rows).astype(np.float32),
        weight=np.ones(rows, dtype=np.float32),
        time=None,
        origin=np.arange(rows),
    )
    table = Interactions(columns, users, items, np.ones(rows, dtype=bool))
    theta = torch.from_numpy(0.3 * random.normal(size=(users + items, 4)))
    return Problem(table, MFConfig(rank=4, l2=0.3), theta, random)


@pytest.mark.parametrize(("users", "items"), [(60, 40), (40, 60)])
def test_it_takes_half_of_the_products_to_the_same_residual(users: int, items: int) -> None:
    system = System(ratings(users, items, 2000), "compiled")
    limits = Limits(1e-6, 200)
    half, whole_of_it = system.eliminated(limits), system.on_both_sides(limits)
    assert half.reason is whole_of_it.reason is Reason.TOLERANCE
    assert half.iterations <= whole_of_it.iterations / 2 + 2
    residual = system.b - system.point.product(half.x)
    assert math.sqrt(float(system.m.decrements(residual).sum())) <= 1.001e-6 * system.norm
    assert len(half.x) == users + items


def test_a_solve_that_is_told_to_stop_at_once_goes_nowhere() -> None:
    system = System(ratings(20, 10, 100), "compiled")
    found = system.eliminated(EXACT, stops=True)
    assert (found.reason, found.iterations) == (Reason.STOPPED, 0)
    assert not found.x.any()


def test_a_score_that_is_bent_in_its_own_row_is_solved_on_both_sides() -> None:
    point = ratings(6, 5, 30).point("torch")
    preconditioner = whole(point, np.arange(11))
    assert Elimination.of(point, preconditioner) is not None
    point.objective.capabilities = replace(point.objective.capabilities, exact_blocks=False)
    assert Elimination.of(point, preconditioner) is None
