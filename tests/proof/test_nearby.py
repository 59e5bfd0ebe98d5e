"""Bounds on the largest eigenvalue of an operator near a known one, against LAPACK."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ifru.proof.eigenvalue import largest_eigenvalue
from ifru.proof.nearby import Known
from ifru.proof.sparse import Rows
from tests.proof.test_eigenvalue import Dense, generator, symmetric

_TOPS = 4


def with_a_cluster_on_top(seed: int, n: int, room: float) -> tuple[Tensor, Tensor]:
    """A matrix whose largest eigenvalues are 1, and others at most 1 − room and above −2; and its eigenvectors."""
    vectors = torch.linalg.qr(symmetric(seed, n))[0]
    values = torch.linspace(-2, 1 - room, n, dtype=torch.float64)
    values[-_TOPS:] = 1
    return vectors @ values.diag() @ vectors.T, vectors


def known(matrix: Tensor, start: Tensor, seed: int) -> Known:
    def enough(lower: float, upper: float) -> bool:
        return upper <= lower * (1 + 1e-10)

    operator = Dense(matrix)
    return Known.of(operator, largest_eigenvalue(operator, start, generator(seed), enough, lambda: None))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31), n=st.integers(6, 80), size=st.floats(1e-9, 2.0), turned=st.floats(0.0, 1.0))
def test_the_bound_holds_however_far_the_operators_and_the_vectors_are(
    seed: int, n: int, size: float, turned: float
) -> None:
    matrix, vectors = with_a_cluster_on_top(seed, n, 0.3)
    change = symmetric(seed + 1, n)
    other = matrix + size * change / torch.linalg.matrix_norm(change, 2)
    of = known(matrix, vectors[:, -_TOPS:], seed)
    start = of.vectors + turned * symmetric(seed + 2, n)[:, : of.vectors.shape[1]]
    split, rest = of.near(Dense(other), start, generator(seed + 3))
    exact = float(torch.linalg.eigvalsh(other)[-1])
    assert split.lower <= exact <= split.upper(rest) + 1e-13
    outside = torch.eye(n, dtype=torch.float64) - split.vectors @ split.vectors.T
    assert float(torch.linalg.eigvalsh(outside @ other @ outside)[-1]) <= max(rest, 0.0) + 1e-12


def test_a_near_operator_is_bounded_as_tightly_as_rounding_allows() -> None:
    matrix, vectors = with_a_cluster_on_top(3, 60, 0.3)
    of = known(matrix, vectors[:, -_TOPS:], 3)
    other = matrix + 1e-6 * symmetric(4, 60)
    values, moved = torch.linalg.eigh(other)
    split, rest = of.near(Dense(other), moved[:, -of.vectors.shape[1] :], generator(5))
    assert split.upper(rest) == pytest.approx(float(values[-1]), rel=1e-11)
    assert rest < 0.99


@given(seed=st.integers(0, 2**31), m=st.integers(1, 12), n=st.integers(1, 300), share=st.floats(0.0, 1.0))
@settings(max_examples=30, deadline=None)
def test_rows_in_pieces_multiply_as_whole_ones_with_fewer_additions(seed: int, m: int, n: int, share: float) -> None:
    dense = torch.randn(m, n, generator=generator(seed), dtype=torch.float64)
    dense = torch.where(torch.rand(m, n, generator=generator(seed + 1)) < share, dense, 0.0)
    row, column = dense.nonzero(as_tuple=True)
    rows = Rows.of(row, column, (m, n)).filled(dense[row, column])
    x = torch.randn(n, 3, generator=generator(seed + 2), dtype=torch.float64)
    assert torch.allclose(rows.times(x), dense @ x, rtol=0, atol=1e-12)
    longest = int((dense != 0).sum(1).max())
    assert rows.additions <= (longest if longest <= 32 else 16 + 32)
