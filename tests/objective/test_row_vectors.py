"""Rows as vector instructions give what plain sums give, whatever the length of a row, and touch nothing beside it."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit
from numba.core.errors import TypingError

from ifru.kernels.held_rows import meet, spread
from ifru.kernels.row_vectors import add, add_two, dot

WIDTHS = (1, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 70)
PRECISIONS = pytest.mark.parametrize(("kind", "tolerance"), [(np.float64, 1e-13), (np.float32, 1e-5)])


@njit
def _dot(a, b, n):
    return dot(a, 1, b, 2, n)


@njit
def _add(out, a, b, s, t, n):
    add(out, 0, s, a, 1, n)
    add_two(out, 1, s, a, 0, t, b, 2, n)


@PRECISIONS
@pytest.mark.parametrize("width", WIDTHS)
def test_products_are_those_of_the_leading_columns(kind: type, tolerance: float, width: int) -> None:
    a, b = np.random.default_rng(width).normal(size=(2, 3, width + 2)).astype(kind)

    expected = a[1, :width] @ b[2, :width]
    assert _dot(a, b, width) == pytest.approx(expected, rel=tolerance, abs=10 * tolerance)


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


@njit
def _meet(out, far, a, b, n):
    meet(out, far, 1, n, a, b, b, a)


@njit
def _spread(out, of_far, far, s, a, t, b, n):
    spread(out, of_far, 2, far, 1, n, s, a, t, b)


@PRECISIONS
@pytest.mark.parametrize("width", WIDTHS)
def test_one_row_meets_many_as_it_meets_each(kind: type, tolerance: float, width: int) -> None:
    a, b = np.random.default_rng(width).normal(size=(2, 6, width + 2)).astype(kind)
    # Every other number of a longer array, as columns that are stored side by side are.
    far, out = np.array([3, 0, 5, 3], dtype=np.int32), np.zeros((4, 2), kind)
    _meet(out[:, 0], far, a, b, width)

    expected = b[far, :width] @ a[1, :width] + a[far, :width] @ b[1, :width]
    np.testing.assert_allclose(out[:, 0], expected, rtol=tolerance, atol=10 * tolerance)
    assert not out[:, 1].any()


@PRECISIONS
@pytest.mark.parametrize("width", WIDTHS)
def test_what_spreads_between_one_row_and_many_arrives_at_both_ends(kind: type, tolerance: float, width: int) -> None:
    random = np.random.default_rng(width)
    a, b, out, of_far = random.normal(size=(4, 6, width + 2)).astype(kind)
    far, s = np.array([3, 2, 5, 3], dtype=np.int32), random.normal(size=4).astype(kind)
    t = random.normal(size=(4, 2)).astype(kind)[:, 1]
    own, others = out.copy(), of_far.copy()
    own[1, :width] += s @ a[far, :width] + t @ b[far, :width]
    np.add.at(others[:, :width], far - 2, np.outer(s, a[1, :width]) + np.outer(t, b[1, :width]))
    _spread(out, of_far, far, s, a, t, b, width)

    np.testing.assert_allclose(out, own, rtol=tolerance, atol=10 * tolerance)
    np.testing.assert_allclose(of_far, others, rtol=tolerance, atol=10 * tolerance)


def test_tables_of_different_types_are_refused() -> None:
    with pytest.raises(TypingError, match="cannot be combined"):
        _dot(np.zeros((3, 4)), np.zeros((3, 4), dtype=np.float32), 4)
