"""Rows as vector instructions give what plain sums give, whatever the length of a row, and touch nothing beside it."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit
from numba.core.errors import TypingError

from ifru.kernels.row_vectors import add, add_two, dot, dots

WIDTHS = (1, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 70)
PRECISIONS = pytest.mark.parametrize(("kind", "tolerance"), [(np.float64, 1e-13), (np.float32, 1e-5)])


@njit
def _dots(a, b, n):
    return dot(a, 1, b, 2, n), dots(a, 1, b, 2, b, 0, a, 1, n)


@njit
def _add(out, a, b, s, t, n):
    add(out, 0, s, a, 1, n)
    add_two(out, 1, s, a, 0, t, b, 2, n)


@PRECISIONS
@pytest.mark.parametrize("width", WIDTHS)
def test_products_are_those_of_the_leading_columns(kind: type, tolerance: float, width: int) -> None:
    a, b = np.random.default_rng(width).normal(size=(2, 3, width + 2)).astype(kind)
    single, double = _dots(a, b, width)

    first, second = a[1, :width] @ b[2, :width], b[0, :width] @ a[1, :width]
    assert single == pytest.approx(first, rel=tolerance, abs=10 * tolerance)
    assert double == pytest.approx(first + second, rel=tolerance, abs=10 * tolerance)


@PRECISIONS
@pytest.mark.parametrize("width", WIDTHS)
def test_sums_change_the_leading_columns_of_one_row(kind: type, tolerance: float, width: int) -> None:
    a, b, out = np.random.default_rng(width).normal(size=(3, 3, width + 2)).astype(kind)
    expected = out.copy()
    expected[0, :width] += 2 * a[1, :width]
    expected[1, :width] += 2 * a[0, :width] + 3 * b[2, :width]
    _add(out, a, b, kind(2), kind(3), width)

    np.testing.assert_allclose(out, expected, rtol=tolerance, atol=10 * tolerance)
    np.testing.assert_array_equal(out[:, width:], expected[:, width:])


def test_tables_of_different_types_are_refused() -> None:
    with pytest.raises(TypingError, match="cannot be combined"):
        _dots(np.zeros((3, 4)), np.zeros((3, 4), dtype=np.float32), 4)
