"""Compiled loops over whole tables (numba, CPU): the few that a solve runs between its products.

Axes: n numbers of a table, S rows, K columns of a row.
"""

from __future__ import annotations

from ifru.kernels.cores import cores, loop, on_cores, part, share, summed_on_cores
from ifru.kernels.row_vectors import dot as dot_of_rows

# Sums may be reordered, which vectorising them needs; NaN and infinity keep their meaning.
_MATH = {"reassoc", "contract", "nsz"}


@loop()
def dot(a, b, many):
    """a·b of [n]. many: on all cores, here and below."""
    return summed_on_cores(_dot, cores(len(a)) if many else 0, (a, b))


@part(fastmath=_MATH)
def _dot(c, parts, a, b):
    total = a.dtype.type(0)
    begin, end = share(c, parts, len(a))
    for k in range(begin, end):
        total += a[k] * b[k]
    return total


@loop()
def add_both(x, direction, residual, image, length, many):
    """x += length·direction, residual −= length·image, of [n]."""
    on_cores(_add_both, cores(len(x)) if many else 0, (x, direction, residual, image, length))


@part(fastmath=_MATH)
def _add_both(c, parts, x, direction, residual, image, length):
    factor = x.dtype.type(length)
    begin, end = share(c, parts, len(x))
    for k in range(begin, end):
        x[k] += factor * direction[k]
        residual[k] -= factor * image[k]


@loop()
def turn_both(direction, z, in_metric, residual, beta, many):
    """direction <- z + beta·direction, in_metric <- residual + beta·in_metric, of [n]."""
    on_cores(_turn_both, cores(len(z)) if many else 0, (direction, z, in_metric, residual, beta))


@part(fastmath=_MATH)
def _turn_both(c, parts, direction, z, in_metric, residual, beta):
    factor = z.dtype.type(beta)
    begin, end = share(c, parts, len(z))
    for k in range(begin, end):
        direction[k] = z[k] + factor * direction[k]
        in_metric[k] = residual[k] + factor * in_metric[k]


@loop()
def dot_rows(a, b, out, many):
    """out [S] <- a_s·b_s of [S, K]."""
    on_cores(_dot_rows, cores(len(a)) if many else 0, (a, b, out))


@part()
def _dot_rows(c, parts, a, b, out):
    for m in range(c * len(a) // parts, (c + 1) * len(a) // parts):
        out[m] = dot_of_rows(a, m, b, m, a.shape[1])
