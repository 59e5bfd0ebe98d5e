"""The certified bounds on the largest eigenvalue, against LAPACK and against spectra that are known."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import betainc
from torch import Tensor

from ifru.proof.bilinear import Gram
from ifru.proof.eigenvalue import LargestEigenvalue, largest_eigenvalue
from ifru.proof.krylov import Krylov, orthonormal
from ifru.proof.operator import Operator, nonnegative_norm, rounding
from ifru.proof.rest import RestBound, _angle, rest_bounds
from ifru.proof.sparse import Places, SparseMatrix
from ifru.proof.split import Ritz
from ifru.proof.sums import EPS

numerical = settings(max_examples=30, deadline=None)
sizes = st.integers(1, 60)
seeds = st.integers(0, 2**32 - 1)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


@dataclass(frozen=True)
class Dense:
    """A symmetric matrix [n, n] as an operator."""

    matrix: Tensor

    @property
    def size(self) -> int:
        return len(self.matrix)

    @property
    def rounding(self) -> float:
        return EPS * self.size * float(self.matrix.abs().norm())

    def product(self, x: Tensor) -> Tensor:
        return self.matrix @ x


@dataclass(frozen=True)
class Reflected:
    """H diag(values) H, H a product of reflections along mirrors [n, 3]: any spectrum [n] in many dimensions."""

    values: Tensor
    mirrors: Tensor

    @property
    def size(self) -> int:
        return len(self.values)

    @property
    def rounding(self) -> float:
        return 64 * EPS * float(self.values.abs().max())

    def product(self, x: Tensor) -> Tensor:
        return self.turned(self.values[:, None] * self.turned(x, back=True))

    def turned(self, x: Tensor, back: bool = False) -> Tensor:
        for mirror in self.mirrors.T.flip(0) if back else self.mirrors.T:
            x = x - 2 * torch.outer(mirror, mirror @ x)
        return x


def with_spectrum(values: Tensor, seed: int) -> Reflected:
    mirrors = normal(seed, len(values), 3)
    return Reflected(values.double(), mirrors / mirrors.norm(dim=0))


def symmetric(seed: int, n: int) -> Tensor:
    """A random matrix, its spectrum on both sides of zero."""
    half = normal(seed, n, n)
    return half + half.T


def sparse(dense: Tensor) -> SparseMatrix:
    row, column = torch.nonzero(dense, as_tuple=True)
    order = torch.argsort(column, stable=True)
    return Places.of(row, column, order, (dense.shape[0], dense.shape[1])).matrix(dense[row, column])


def bounds(
    operator: Operator, start: Tensor | None = None, seed: int = 0, check: Callable[[], None] = lambda: None
) -> LargestEigenvalue:
    """To a relative accuracy of 1e-10, from start [n, k]."""

    def enough(lower: float, upper: float) -> bool:
        return upper <= lower + 1e-10 * abs(lower)

    start = torch.empty(operator.size, 0, dtype=torch.float64) if start is None else start
    return largest_eigenvalue(operator, start, generator(seed), enough, check)


def assert_tight(found: LargestEigenvalue, exact: float, within: float) -> None:
    assert found.lower <= exact <= found.upper
    assert found.upper - found.lower <= within
    assert found.failure <= 1e-12


@numerical
@given(sizes, st.floats(-3, 3), seeds)
def test_bounds_enclose_the_largest_eigenvalue_of_random_matrices(n: int, shift: float, seed: int) -> None:
    """Indefinite, and with a shift of either sign definite."""
    matrix = symmetric(seed, n) + shift * math.sqrt(n) * torch.eye(n, dtype=torch.float64)
    spectrum = torch.linalg.eigvalsh(matrix)
    assert_tight(bounds(Dense(matrix), seed=seed), float(spectrum[-1]), 1e-8 * float(spectrum.abs().max()))


@numerical
@given(sizes, sizes, st.floats(0.02, 1), seeds)
def test_bounds_enclose_the_norm_of_random_sparse_matrices(rows: int, columns: int, density: float, seed: int) -> None:
    keep = torch.rand(rows, columns, generator=generator(seed)) < density
    dense = torch.where(keep, normal(seed, rows, columns), 0.0)
    matrix, moduli = sparse(dense), dense.abs()
    gram = Gram(matrix, rounding(2 * matrix.operations, lambda x: moduli.T @ (moduli @ x), columns))
    exact = float(torch.linalg.svdvals(dense)[0]) ** 2
    found = bounds(gram, seed=seed)
    assert found.lower <= exact * (1 + 1e-14)
    assert exact * (1 - 1e-14) <= found.upper <= found.lower + 1e-8 * exact


@numerical
@given(st.integers(1, 30), st.integers(0, 120), st.floats(0, 1e-6), st.floats(0.5, 0.999), st.floats(-1e3, 0.4), seeds)
def test_bounds_are_tight_where_the_top_is_a_cluster(
    cluster: int, others: int, spread: float, below: float, lowest: float, seed: int
) -> None:
    top = 1 - spread * torch.linspace(0, 1, cluster, dtype=torch.float64)
    values = torch.cat([top, torch.linspace(below, lowest, others, dtype=torch.float64)])
    assert_tight(bounds(with_spectrum(values, seed), seed=seed), 1.0, 1e-8 + 1e-10 * abs(lowest))


SPECTRA = {
    "equal": torch.ones(150),
    "dense": torch.linspace(1, 0.999, 150),
    "slow decay": 1 / torch.arange(1, 151),
    "one just above many": torch.cat([torch.ones(1), torch.full((149,), 1 - 1e-7)]),
    "two clusters": torch.cat([torch.ones(40), torch.full((60,), 1 - 1e-12), torch.full((50,), 1e-9)]),
    "fast decay": 10.0 ** -torch.arange(150),
    "as far below zero as above": torch.linspace(1, -1, 150),
    "nothing above zero": torch.linspace(-0.0, -1, 150),
    "all below zero": torch.linspace(-1, -2, 150),
    "hardly anything above zero": torch.cat([torch.full((3,), 1e-3), torch.linspace(0, -1, 147)]),
}


@pytest.mark.parametrize("values", SPECTRA.values(), ids=SPECTRA.keys())
def test_bounds_are_tight_on_spectra_that_are_hard_for_lanczos(values: Tensor) -> None:
    assert_tight(bounds(with_spectrum(values, 3)), float(values.double()[0]), 1e-9)


LARGE = {
    "no lower end": torch.linspace(0.9, 0, 1980),
    "a lower end as long": torch.linspace(0.9, -1, 1980),
    "outliers far below": torch.cat([torch.linspace(0.9, -0.5, 1950), torch.linspace(-20, -50, 30)]),
    "a long lower end": torch.cat([torch.linspace(0.8, -0.5, 1000), torch.linspace(-0.5, -8, 980)]),
}


@pytest.mark.parametrize("others", LARGE.values(), ids=LARGE.keys())
def test_bounds_are_tight_in_more_dimensions_than_are_looked_at(others: Tensor) -> None:
    values = torch.cat([torch.ones(20), others])
    assert_tight(bounds(with_spectrum(values, 4)), 1.0, 1e-9)


def test_a_lower_end_that_hides_the_rest_loosens_the_bound_and_does_not_break_it() -> None:
    """A thousand eigenvalues far below zero, in two thousand dimensions: more than can be split off."""
    values = torch.cat([torch.ones(20), torch.linspace(0.99, -1, 980), torch.linspace(-20, -50, 1000)])
    found = bounds(with_spectrum(values, 4))
    assert found.lower <= 1 <= found.upper <= 2


def test_a_start_that_hides_the_leading_vector_does_not_deceive() -> None:
    operator = with_spectrum(torch.cat([torch.tensor([1.0]), torch.linspace(0.9, -2, 799)]), 5)
    vectors = operator.turned(torch.eye(operator.size, dtype=torch.float64))
    assert_tight(bounds(operator, start=vectors[:, 1:60].contiguous()), 1.0, 1e-9)


def test_a_start_that_spans_the_cluster_takes_fewer_steps() -> None:
    operator = with_spectrum(torch.cat([torch.ones(40), torch.linspace(0.99, -1, 360)]), 8)
    start = operator.turned(torch.eye(operator.size, dtype=torch.float64))[:, :40].contiguous()

    def steps(start: Tensor) -> int:
        taken = 0

        def check() -> None:
            nonlocal taken
            taken += 1

        assert_tight(bounds(operator, start, check=check), 1.0, 1e-9)
        return taken

    assert steps(start) < steps(start[:, :0])


def test_the_vectors_are_those_of_the_values() -> None:
    operator = with_spectrum(torch.cat([torch.tensor([3.0, 2.0, 1.0]), torch.linspace(0, -9, 60)]), 1)
    found = bounds(operator)
    assert found.values[:3].tolist() == pytest.approx([3, 2, 1], rel=1e-10)
    torch.testing.assert_close(operator.product(found.vectors[:, :3]), found.vectors[:, :3] * found.values[:3])


def test_an_operator_that_is_zero_has_no_eigenvalue_but_zero() -> None:
    found = bounds(Dense(torch.zeros(4, 4, dtype=torch.float64)))
    assert (found.lower, found.upper) == (0, 0)


def test_what_a_check_raises_ends_the_work() -> None:
    class Interrupted(Exception):
        pass

    def check() -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        bounds(with_spectrum(torch.ones(20), 0), check=check)


def test_entries_of_the_same_place_add_up() -> None:
    row, column = torch.tensor([0, 0, 1, 1]), torch.tensor([1, 1, 0, 0])
    value = torch.tensor([1.0, 2.0, 5.0, -5.0], dtype=torch.float64)
    matrix = Places.of(row, column, torch.tensor([2, 3, 0, 1]), (2, 2)).matrix(value)
    eye = torch.eye(2, dtype=torch.float64)
    assert matrix.product(eye).tolist() == [[0, 3], [0, 0]]
    assert matrix.adjoint(eye).tolist() == [[0, 0], [3, 0]]


@numerical
@given(sizes, sizes, seeds)
def test_products_are_off_by_no_more_than_is_said(rows: int, columns: int, seed: int) -> None:
    dense = normal(seed, rows, columns) * 10 ** normal(seed + 1, rows, columns)
    matrix, x = sparse(dense), normal(seed + 2, columns, 3)
    exact = [
        [math.fsum(float(a) * float(b) for a, b in zip(line, vector, strict=True)) for vector in x.T] for line in dense
    ]
    off = (matrix.product(x) - torch.tensor(exact, dtype=torch.float64)).abs()
    assert bool((off <= EPS / 2 * matrix.operations * (dense.abs() @ x.abs()) * (1 + 1e-9)).all())
    bound = rounding(2 * matrix.operations, lambda x: dense.abs().T @ (dense.abs() @ x), columns)
    there_and_back = matrix.adjoint(matrix.product(x)) - torch.tensor(
        [
            [math.fsum(float(a) * b for a, b in zip(line, vector, strict=True)) for vector in zip(*exact, strict=True)]
            for line in dense.T
        ],
        dtype=torch.float64,
    )
    assert bool((there_and_back.norm(dim=0) <= bound * x.norm(dim=0)).all())


@numerical
@given(st.integers(1, 40), st.floats(0, 1), seeds)
def test_the_norm_of_a_matrix_without_negative_entries_is_bounded_and_found(n: int, density: float, seed: int) -> None:
    half = torch.rand(n, n, generator=generator(seed), dtype=torch.float64)
    matrix = torch.where(torch.rand(n, n, generator=generator(seed + 1)) < density, half, 0.0)
    matrix = matrix + matrix.T
    exact = float(torch.linalg.eigvalsh(matrix)[-1])
    assert exact * (1 - 1e-12) <= nonnegative_norm(lambda x: matrix @ x, n) <= 2 * n
    bipartite = torch.zeros(2 * n, 2 * n, dtype=torch.float64)
    bipartite[:n, n:], bipartite[n:, :n] = half, half.T
    exact = float(torch.linalg.svdvals(half)[0])
    assert exact * (1 - 1e-12) <= nonnegative_norm(lambda x: bipartite @ x, 2 * n) <= 1.01 * exact


@numerical
@given(st.integers(1, 40), st.integers(0, 40), st.integers(1, 50), seeds)
def test_a_block_becomes_orthonormal_even_where_the_basis_spans_it(n: int, width: int, block: int, seed: int) -> None:
    basis = torch.linalg.qr(normal(seed, n, min(n, width)))[0]
    inside = basis @ normal(seed + 1, basis.shape[1], block)
    found = orthonormal(inside, basis)
    assert found.shape[1] == min(block, n - basis.shape[1])
    whole = torch.cat([basis, found], 1)
    assert float((whole.T @ whole - torch.eye(whole.shape[1], dtype=torch.float64)).norm()) < 1e-12


@numerical
@given(st.integers(20, 80), st.floats(-5, 1), seeds)
def test_the_coupled_bound_holds_for_any_split(n: int, lowest: float, seed: int) -> None:
    """Unconverged vectors, and the exact largest eigenvalue of what they leave."""
    operator = with_spectrum(torch.linspace(1, lowest, n), seed)
    basis = Krylov(operator.product, torch.empty(n, 0, dtype=torch.float64))
    basis.grow(basis.grow(normal(seed + 1, n, 4)))
    split = Ritz.of(operator, basis, 6).split()
    outside = torch.eye(n, dtype=torch.float64) - split.vectors @ split.vectors.T
    rest = outside @ operator.product(outside)
    rest = (rest + rest.T) / 2 - 100 * split.vectors @ split.vectors.T
    found = split.upper(float(torch.linalg.eigvalsh(rest)[-1]))
    assert split.lower <= 1 <= found
    assert found <= 1 + 0.5 * (1 - lowest) + 1e-9


def rests_of_norm_one(steps: int, failure: float, tries: int) -> list[RestBound]:
    """What is found out in some steps, from as many starts, about a rest that is slow to find."""
    operator = with_spectrum(torch.cat([torch.tensor([2.0, 1.0]), torch.linspace(0.99, -0.5, 199)]), 11)
    basis = Krylov(operator.product, torch.empty(operator.size, 0, dtype=torch.float64))
    basis.grow(operator.turned(torch.eye(operator.size, dtype=torch.float64))[:, :1])
    split = Ritz.of(operator, basis, 1).split()
    return [list(rest_bounds(split, generator(seed), failure, steps))[-1] for seed in range(tries)]


@pytest.mark.parametrize("steps", [2, 3, 4])
def test_the_bound_on_the_rest_fails_no_more_often_than_is_said(steps: int) -> None:
    found = rests_of_norm_one(steps, failure=0.2, tries=100)
    assert sum(rest.bound < 1 for rest in found) <= 20
    assert sum(rest.estimate < 1 for rest in found) == 100
    assert sum(math.isfinite(rest.bound) for rest in found) == 100


@given(st.integers(1, 16), st.integers(17, 10**6), st.floats(1e-15, 0.5))
def test_the_angle_keeps_the_probability_of_failure(block: int, dimensions: int, failure: float) -> None:
    angle = _angle(block, dimensions, failure)
    assert float(betainc(block / 2, (dimensions - 1) / 2, 1 / math.cosh(angle) ** 2)) <= failure * (1 + 1e-9)


def test_the_angle_for_one_vector_is_that_of_kuczynski_and_wozniakowski() -> None:
    """Their probability is 1.648·√n·exp(−√ε(2k − 1)), and √ε(2k − 1) is the angle where ε is small."""
    n, failure = 10_000, 1e-12
    assert _angle(1, n, failure) <= math.log(1.648 * math.sqrt(n) / failure)
    assert _angle(1, n, failure) == pytest.approx(math.log(1.648 * math.sqrt(n) / failure), rel=0.01)
