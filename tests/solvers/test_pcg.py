"""Conjugate gradients against dense solves, and every way in which a solve can end."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ifru.solvers.pcg import Limits, Solution, solve
from ifru.solvers.reason import Reason

EXACT = Limits(tolerance=1e-13, iterations=200)


@dataclass(frozen=True)
class System:
    """A x = b on vectors [S, K], with a preconditioner M: dense, so that everything can be checked."""

    a: Tensor
    m: Tensor
    b: Tensor

    def solve(self, limits: Limits, stop_after: int | None = None) -> Solution:
        inverse, asked = torch.linalg.inv(self.m), [0]

        def stop() -> bool:
            asked[0] += 1
            return stop_after is not None and asked[0] > stop_after

        def product(p: Tensor, in_metric: Tensor) -> Tensor:
            torch.testing.assert_close(in_metric.reshape(-1), self.m @ p.reshape(-1), rtol=1e-5, atol=1e-5)
            return (self.a @ p.reshape(-1)).reshape(p.shape)

        return solve(product, lambda r: (inverse @ r.reshape(-1)).reshape(r.shape), self.b, limits, stop)

    def model(self, x: Tensor) -> float:
        flat = x.reshape(-1)
        return float(0.5 * flat @ self.a @ flat - self.b.reshape(-1) @ flat)

    def length(self, x: Tensor) -> float:
        flat = x.reshape(-1)
        return math.sqrt(float(flat @ self.m @ flat))


def spread_of(random: torch.Generator, size: int, lowest: float) -> Tensor:
    """A symmetric matrix with eigenvalues between `lowest` and 5, both taken."""
    q, _ = torch.linalg.qr(torch.randn(size, size, generator=random, dtype=torch.float64))
    return q @ torch.diag(torch.linspace(lowest, 5, size, dtype=torch.float64)) @ q.T


def system(seed: int, rows: int, columns: int, lowest: float) -> System:
    random = torch.Generator().manual_seed(seed)
    size = rows * columns
    b = torch.randn(rows, columns, generator=random, dtype=torch.float64)
    return System(spread_of(random, size, lowest), spread_of(random, size, 0.5), b)


solves = settings(deadline=None, max_examples=30)
SEEDS, ROWS, COLUMNS = st.integers(0, 2**31), st.integers(1, 5), st.integers(1, 4)


@solves
@given(seed=SEEDS, rows=ROWS, columns=COLUMNS)
def test_a_convex_system_is_solved_like_a_dense_one(seed: int, rows: int, columns: int) -> None:
    problem = system(seed, rows, columns, 0.1)
    solution = problem.solve(EXACT)
    expected = torch.linalg.solve(problem.a, problem.b.reshape(-1)).reshape(rows, columns)
    torch.testing.assert_close(solution.x, expected, rtol=1e-8, atol=1e-8)
    assert solution.reason is Reason.TOLERANCE
    assert solution.residual_norm <= EXACT.tolerance * solution.initial_norm


@solves
@given(
    seed=SEEDS,
    rows=ROWS,
    columns=COLUMNS,
    lowest=st.sampled_from([-2.0, 0.1]),
    radius=st.sampled_from([0.05, 0.5, 5.0, math.inf]),
    iterations=st.integers(0, 8),
)
def test_a_solution_says_what_is_true_of_it(
    seed: int, rows: int, columns: int, lowest: float, radius: float, iterations: int
) -> None:
    problem = system(seed, rows, columns, lowest)
    solution = problem.solve(Limits(1e-10, iterations, radius))
    x = solution.x.reshape(-1)
    residual = problem.b.reshape(-1) - problem.a @ x
    inverse = torch.linalg.inv(problem.m)
    torch.testing.assert_close(solution.residual.reshape(-1), residual, rtol=1e-8, atol=1e-8)
    assert solution.residual_norm == pytest.approx(math.sqrt(float(residual @ inverse @ residual)), abs=1e-7)
    b = problem.b.reshape(-1)
    assert solution.initial_norm == pytest.approx(math.sqrt(float(b @ inverse @ b)))
    assert solution.length == pytest.approx(problem.length(solution.x), rel=1e-6, abs=1e-9)
    assert solution.decrease == pytest.approx(-problem.model(solution.x), rel=1e-6, abs=1e-9)
    assert solution.decrease >= -1e-12
    assert solution.length <= radius * (1 + 1e-9)
    assert solution.iterations <= iterations


@solves
@given(seed=SEEDS, rows=ROWS, columns=COLUMNS)
def test_a_step_that_the_radius_holds_back_ends_on_it(seed: int, rows: int, columns: int) -> None:
    problem = system(seed, rows, columns, 0.1)
    free = problem.solve(EXACT)
    held = problem.solve(Limits(1e-13, 200, free.length / 2))
    assert held.reason is Reason.RADIUS
    assert held.length == pytest.approx(free.length / 2)


@solves
@given(seed=SEEDS, rows=ROWS, columns=COLUMNS)
def test_a_concave_model_is_followed_downhill_to_the_radius(seed: int, rows: int, columns: int) -> None:
    problem = system(seed, rows, columns, 0.1)
    concave = System(-problem.a, problem.m, problem.b)
    solution = concave.solve(Limits(1e-10, 50, 3.0))
    assert solution.reason is Reason.NEGATIVE_CURVATURE
    assert solution.length == pytest.approx(3.0)
    assert solution.decrease > 0


def test_a_concave_model_without_a_radius_takes_a_finite_step() -> None:
    problem = System(-torch.eye(2).double(), torch.eye(2).double(), torch.tensor([[3.0, 4.0]]).double())
    solution = problem.solve(Limits(1e-10, 50))
    assert solution.length == pytest.approx(5.0)


def test_negative_curvature_met_later_keeps_what_was_gained_before_it() -> None:
    a = torch.diag(torch.tensor([1.0, 2.0, -1.0], dtype=torch.float64))
    problem = System(a, torch.eye(3).double(), torch.tensor([[1.0, 1.0, 0.5]]).double())
    solution = problem.solve(Limits(1e-10, 50))
    assert solution.reason is Reason.NEGATIVE_CURVATURE
    assert solution.iterations > 1
    assert solution.decrease > 0


def test_iterations_are_bounded() -> None:
    solution = system(1, 5, 4, 0.01).solve(Limits(1e-12, 3))
    assert (solution.reason, solution.iterations) == (Reason.ITERATIONS, 3)


def test_a_solve_that_is_told_to_stop_keeps_what_it_has() -> None:
    problem = system(1, 5, 4, 0.01)
    stopped, counted = problem.solve(EXACT, stop_after=3), problem.solve(Limits(1e-13, 3))
    assert (stopped.reason, stopped.iterations) == (Reason.STOPPED, 3)
    assert torch.equal(stopped.x, counted.x)


def test_nothing_to_solve_takes_no_iteration() -> None:
    problem = system(0, 2, 2, 0.1)
    solution = System(problem.a, problem.m, torch.zeros(2, 2).double()).solve(EXACT)
    assert (solution.reason, solution.iterations, float(solution.x.norm())) == (Reason.TOLERANCE, 0, 0.0)
