"""The certified bounds on the largest singular value, against LAPACK."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import betainc
from torch import Tensor

from ifru.proof.krylov import Krylov, orthonormal
from ifru.proof.norm import Progress, SpectralNorm, spectral_norm
from ifru.proof.rest import RestNorm, _angle, rest_norms
from ifru.proof.sparse import SparseMatrix
from ifru.proof.triplets import Ritz

numerical = settings(max_examples=30, deadline=None)
sizes = st.integers(1, 60)
seeds = st.integers(0, 2**32 - 1)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def with_spectrum(values: Tensor, rows: int, seed: int) -> Tensor:
    """A dense matrix [rows, n] with given singular values [n]."""
    n = len(values)
    left, right = torch.linalg.qr(normal(seed, rows, n))[0], torch.linalg.qr(normal(seed + 1, n, n))[0]
    product: Tensor = left * values @ right.T
    return product


def sparse(dense: Tensor) -> SparseMatrix:
    row, column = torch.nonzero(dense, as_tuple=True)
    order = torch.argsort(column, stable=True)
    return SparseMatrix.of(row, column, dense[row, column], order, (dense.shape[0], dense.shape[1]))


def bounds(
    dense: Tensor,
    start: Tensor | None = None,
    seed: int = 0,
    report: Callable[[Progress], None] = lambda progress: None,
) -> SpectralNorm:
    """To a relative accuracy of 1e-10, from start [min(m, n), k]."""
    start = dense.new_empty(min(dense.shape), 0) if start is None else start

    def enough(lower: float, upper: float) -> bool:
        return upper <= lower * (1 + 1e-10)

    return spectral_norm(sparse(dense), start, generator(seed), enough, report)


def assert_tight(found: SpectralNorm, dense: Tensor, relative: float = 1e-8) -> None:
    exact = float(torch.linalg.svdvals(dense)[0])
    assert found.lower <= exact <= found.upper
    assert found.upper - found.lower <= relative * exact
    assert found.failure <= 1e-12


@numerical
@given(sizes, sizes, st.floats(0.02, 1), seeds)
def test_bounds_enclose_the_norm_of_random_sparse_matrices(rows: int, columns: int, density: float, seed: int) -> None:
    keep = torch.rand(rows, columns, generator=generator(seed)) < density
    dense = torch.where(keep, normal(seed, rows, columns), 0.0)
    assert_tight(bounds(dense, seed=seed), dense)


@numerical
@given(st.integers(1, 30), st.integers(0, 120), st.floats(0, 1e-6), st.floats(0.5, 0.999), seeds)
def test_bounds_are_tight_where_the_top_is_a_cluster(
    cluster: int, others: int, spread: float, below: float, seed: int
) -> None:
    top = 1 - spread * torch.linspace(0, 1, cluster, dtype=torch.float64)
    dense = with_spectrum(torch.cat([top, torch.linspace(below, 0, others, dtype=torch.float64)]), 160, seed)
    assert_tight(bounds(dense, seed=seed), dense)


@pytest.mark.parametrize(
    "values",
    [
        torch.ones(150),
        torch.linspace(1, 0.999, 150),
        1 / torch.arange(1, 151),
        torch.cat([torch.ones(1), torch.full((149,), 1 - 1e-7)]),
        torch.cat([torch.ones(40), torch.full((60,), 1 - 1e-12), torch.full((50,), 1e-9)]),
        10.0 ** -torch.arange(150),
    ],
    ids=["equal", "dense", "slow decay", "one just above many", "two clusters", "fast decay"],
)
def test_bounds_are_tight_on_spectra_that_are_hard_for_lanczos(values: Tensor) -> None:
    dense = with_spectrum(values.double(), 170, 3)
    assert_tight(bounds(dense), dense)


def test_a_start_that_hides_the_leading_vector_does_not_deceive() -> None:
    values = torch.cat([torch.tensor([1.0]), torch.linspace(0.9, 0.1, 199)]).double()
    dense = with_spectrum(values, 220, 5)
    right = torch.linalg.svd(dense)[2][:200].T
    assert_tight(bounds(dense, start=right[:, 1:60].contiguous()), dense)


def test_a_start_that_spans_the_cluster_takes_fewer_looks() -> None:
    values = torch.cat([torch.ones(40), torch.linspace(0.99, 0, 360)]).double()
    dense = with_spectrum(values, 420, 8)
    start = torch.linalg.svd(dense)[2][:40].T.contiguous()

    def looks(start: Tensor) -> int:
        seen: list[Progress] = []
        assert_tight(bounds(dense, start, report=seen.append), dense)
        return len(seen)

    assert looks(start) < looks(start[:, :0])


def test_wide_and_tall_matrices_give_vectors_of_their_own_sides() -> None:
    dense = with_spectrum(torch.tensor([3.0, 1.0, 0.5]).double(), 9, 1)
    for matrix in (dense, dense.T.contiguous()):
        found = bounds(matrix)
        assert found.left.shape[0] == matrix.shape[0]
        assert found.right.shape[0] == matrix.shape[1]
        assert found.subspace.shape[0] == min(matrix.shape)
        assert float(found.left[:, 0] @ matrix @ found.right[:, 0]) == pytest.approx(3, rel=1e-10)


def test_a_matrix_of_zeros_has_norm_zero() -> None:
    found = bounds(torch.zeros(4, 3, dtype=torch.float64))
    assert (found.lower, found.upper, found.failure) == (0, 0, 0)


def test_entries_of_the_same_place_add_up() -> None:
    row, column = torch.tensor([0, 0, 1, 1]), torch.tensor([1, 1, 0, 0])
    value = torch.tensor([1.0, 2.0, 5.0, -5.0], dtype=torch.float64)
    matrix = SparseMatrix.of(row, column, value, torch.tensor([2, 3, 0, 1]), (2, 2))
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
    off = (matrix.product(x) - torch.tensor(exact, dtype=torch.float64)).norm(dim=0)
    assert bool((off <= matrix.rounding * x.norm(dim=0)).all())


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
@given(st.integers(20, 80), st.floats(0, 1), seeds)
def test_the_coupled_bound_holds_for_any_split(n: int, share: float, seed: int) -> None:
    """Unconverged triplets, and the exact norm of what they leave."""
    dense = with_spectrum(torch.linspace(1, share, n, dtype=torch.float64), n + 5, seed)
    matrix = sparse(dense)
    basis = Krylov(lambda x: matrix.adjoint(matrix.product(x)), dense.new_empty(n, 0))
    basis.grow(basis.grow(normal(seed + 1, n, 4)))
    triplets = Ritz.of(matrix, basis, 6).triplets()
    left, right = triplets.left, triplets.right
    rest = dense - left @ (left.T @ dense)
    rest = rest - (rest @ right) @ right.T
    exact = float(torch.linalg.svdvals(dense)[0])
    found = triplets.upper(float(torch.linalg.svdvals(rest)[0]))
    assert triplets.lower <= exact <= found
    assert found <= 1.5 * exact


def rests_of_norm_one(steps: int, failure: float, tries: int) -> list[RestNorm]:
    """What is found out in some steps, from as many starts, about a rest that is slow to find."""
    values = torch.cat([torch.tensor([2.0, 1.0]), torch.linspace(0.99, 0, 199)]).double()
    dense = with_spectrum(values, len(values), 11)
    basis = Krylov(lambda x: dense.T @ (dense @ x), dense.new_empty(len(dense), 0))
    basis.grow(torch.linalg.svd(dense)[2][:1].T)
    triplets = Ritz.of(sparse(dense), basis, 1).triplets()
    return [list(rest_norms(triplets, generator(seed), failure, steps))[-1] for seed in range(tries)]


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_the_bound_on_the_rest_fails_no_more_often_than_is_said(steps: int) -> None:
    found = rests_of_norm_one(steps, failure=0.2, tries=100)
    assert sum(rest.bound < 1 for rest in found) <= 20
    assert sum(rest.estimate < 1 for rest in found) == 100


@given(st.integers(1, 16), st.integers(17, 10**6), st.floats(1e-15, 0.5))
def test_the_angle_keeps_the_probability_of_failure(block: int, dimensions: int, failure: float) -> None:
    angle = _angle(block, dimensions, failure)
    assert float(betainc(block / 2, (dimensions - 1) / 2, 1 / math.cosh(angle) ** 2)) <= failure * (1 + 1e-9)


def test_the_angle_for_one_vector_is_that_of_kuczynski_and_wozniakowski() -> None:
    """Their probability is 1.648·√n·exp(−√ε(2k − 1)), and √ε(2k − 1) is the angle where ε is small."""
    n, failure = 10_000, 1e-12
    assert _angle(1, n, failure) <= math.log(1.648 * math.sqrt(n) / failure)
    assert _angle(1, n, failure) == pytest.approx(math.log(1.648 * math.sqrt(n) / failure), rel=0.01)
