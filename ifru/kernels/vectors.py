"""Compiled loops over whole tables (numba, CPU): the few that a solve runs between its products.

Each goes over the stretch from `begin` to before `end`. Axes: n numbers of a table, S rows, K columns of a row.
"""

from __future__ import annotations

from numba import njit

from ifru.kernels.row_vectors import dot as dot_of_rows

# Sums may be reordered, which vectorising them needs; NaN and infinity keep their meaning.
_MATH = {"reassoc", "contract", "nsz"}


@njit(cache=True, nogil=True, fastmath=_MATH)
def dot(begin, end, a, b):
    """a·b of [n]."""
    total = a.dtype.type(0)
    for k in range(begin, end):
        total += a[k] * b[k]
    return total


@njit(cache=True, nogil=True, fastmath=_MATH)
def add_both(begin, end, x, direction, residual, image, length):
    """x += length·direction, residual −= length·image, of [n]."""
    factor = x.dtype.type(length)
    for k in range(begin, end):
        x[k] += factor * direction[k]
        residual[k] -= factor * image[k]


@njit(cache=True, nogil=True, fastmath=_MATH)
def turn_both(begin, end, direction, z, in_metric, residual, beta):
    """direction <- z + beta·direction, in_metric <- residual + beta·in_metric, of [n]."""
    factor = z.dtype.type(beta)
    for k in range(begin, end):
        direction[k] = z[k] + factor * direction[k]
        in_metric[k] = residual[k] + factor * in_metric[k]


@njit(cache=True, nogil=True)
def dot_rows(begin, end, a, b, out):
    """out [S] <- a_s·b_s of [S, K]."""
    for m in range(begin, end):
        out[m] = dot_of_rows(a, m, b, m, a.shape[1])
