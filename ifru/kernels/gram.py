"""Compiled loops over rows of small degree (numba, CPU).

Axes: S rows, Z interactions of them, K columns of a row. Row m has the factors W [Z, K] from start[m] to start[m + 1].
"""

from __future__ import annotations

import math

import numpy as np

from ifru.kernels.cores import cores, counted_on_cores, loop, on_cores, part
from ifru.kernels.row_vectors import add, dot


@loop()
def whiten(factors, start, ridge, many):
    """W [Z, K] -> U = L⁻¹W in place, where LLᵀ = WWᵀ + ridge·I, for each of S rows; returns how many have no L.

    many: on all cores.
    """
    return counted_on_cores(_whiten_part, cores(len(ridge)) if many else 0, (factors, start, ridge))


@part()
def _whiten_part(c, parts, factors, start, ridge):
    failed = 0
    for m in range(c * len(ridge) // parts, (c + 1) * len(ridge) // parts):
        failed += not _whiten(factors, start[m], start[m + 1], ridge[m])
    return failed


@loop()
def multiply(whitened, start, ridge, at, x, out, many):
    """out[at] <- (x − UᵀUx)/ridge of x[at], for at, ridge [S]; zero where ridge is. many: on all cores."""
    on_cores(_multiply_part, cores(len(at)) if many else 0, (whitened, start, ridge, at, x, out))


@part()
def _multiply_part(c, parts, whitened, start, ridge, at, x, out):
    for m in range(c * len(at) // parts, (c + 1) * len(at) // parts):
        _multiply(whitened, start[m], start[m + 1], ridge[m], at[m], x, out)


@part()
def _whiten(factors, first, last, ridge):
    degree, width = last - first, factors.shape[1]
    lower = np.empty((degree, degree), factors.dtype)
    for i in range(degree):
        for j in range(i + 1):
            lower[i, j] = dot(factors, first + i, factors, first + j, width)
        lower[i, i] += ridge
    # Row by row, so that a row of W is whitened as soon as its row of L is known; L stays below the diagonal.
    for i in range(degree):
        for j in range(i):
            lower[i, j] = (lower[i, j] - dot(lower, i, lower, j, j)) / lower[j, j]
        pivot = lower[i, i] - dot(lower, i, lower, i, i)
        if not pivot > 0:
            return False
        lower[i, i] = math.sqrt(pivot)
        for j in range(i):
            add(factors, first + i, -lower[i, j], factors, first + j, width)
        for k in range(width):
            factors[first + i, k] /= lower[i, i]
    return True


@part()
def _multiply(whitened, first, last, ridge, m, x, out):
    width = x.shape[1]
    if not ridge > 0:
        out[m] = 0
        return
    for k in range(width):
        out[m, k] = x[m, k] / ridge
    for z in range(first, last):
        add(out, m, -dot(whitened, z, x, m, width) / ridge, whitened, z, width)
