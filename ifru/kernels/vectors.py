"""Compiled loops over whole tables (numba, CPU): the few that a solve runs between its products.

A loop on all cores is given the number of parts: one that asks for it itself cannot be kept compiled.
Axes: n numbers of a table, S rows, K columns of a row.
"""

from __future__ import annotations

from numba import njit, prange

from ifru.kernels.row_vectors import dot as dot_of_rows

# Sums may be reordered, which vectorising them needs; NaN and infinity keep their meaning.
_MATH = {"reassoc", "contract", "nsz"}


@njit(cache=True, fastmath=_MATH)
def dot(a, b):
    """a·b of [n]."""
    total = a.dtype.type(0)
    for k in range(len(a)):
        total += a[k] * b[k]
    return total


@njit(cache=True, parallel=True)
def dot_many(a, b, parts):
    """`dot` on all cores."""
    total = 0.0
    for c in prange(parts):
        first, last = c * len(a) // parts, (c + 1) * len(a) // parts
        total += dot(a[first:last], b[first:last])
    return total


@njit(cache=True, fastmath=_MATH)
def add_both(x, direction, residual, image, length):
    """x += length·direction, residual −= length·image, of [n]."""
    factor = x.dtype.type(length)
    for k in range(len(x)):
        x[k] += factor * direction[k]
        residual[k] -= factor * image[k]


@njit(cache=True, parallel=True)
def add_both_many(x, direction, residual, image, length, parts):
    """`add_both` on all cores."""
    for c in prange(parts):
        first, last = c * len(x) // parts, (c + 1) * len(x) // parts
        add_both(x[first:last], direction[first:last], residual[first:last], image[first:last], length)


@njit(cache=True, fastmath=_MATH)
def turn_both(direction, z, in_metric, residual, beta):
    """direction <- z + beta·direction, in_metric <- residual + beta·in_metric, of [n]."""
    factor = z.dtype.type(beta)
    for k in range(len(z)):
        direction[k] = z[k] + factor * direction[k]
        in_metric[k] = residual[k] + factor * in_metric[k]


@njit(cache=True, parallel=True)
def turn_both_many(direction, z, in_metric, residual, beta, parts):
    """`turn_both` on all cores."""
    for c in prange(parts):
        first, last = c * len(z) // parts, (c + 1) * len(z) // parts
        turn_both(direction[first:last], z[first:last], in_metric[first:last], residual[first:last], beta)


@njit(cache=True)
def dot_rows(a, b, out):
    """out [S] <- a_s·b_s of [S, K]."""
    for m in range(len(a)):
        out[m] = dot_of_rows(a, m, b, m, a.shape[1])


@njit(cache=True, parallel=True)
def dot_rows_many(a, b, out):
    """`dot_rows` on all cores."""
    for m in prange(len(a)):
        out[m] = dot_of_rows(a, m, b, m, a.shape[1])
