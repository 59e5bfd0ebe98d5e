"""Compiled inverses of small symmetric blocks, and products with them (numba, CPU).

Batched operators of torch call a library once a block, which at these sizes takes longer than the sums.
Axes: S blocks, K rows and columns of a block. A stack of blocks [S, K, K] is passed as its rows [S·K, K].
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from ifru.objective.row_vectors import add, dot


@njit(cache=True, parallel=True)
def multiply(blocks, x, out):
    """out [S, K] <- each block times its row of x [S, K]; blocks [S·K, K] are symmetric."""
    width = x.shape[1]
    for m in prange(len(x)):
        for k in range(width):
            out[m, k] = dot(blocks, m * width + k, x, m, width)


@njit(cache=True, parallel=True)
def invert(blocks, width, out):
    """out [S·K, K] <- inverses of positive definite blocks [S·K, K]; a zero block gives zero.

    By factors B = RᵀR with R lower triangular, B⁻¹ = R⁻¹R⁻ᵀ: rows are then read from their beginning. Returns the
    number of blocks that are not positive definite; they give zero.
    """
    failed = 0
    for m in prange(len(blocks) // width):
        top = m * width
        factor = blocks[top : top + width].copy()
        out[top : top + width] = 0
        if not factor.any():
            continue
        if not _factor(factor):
            failed += 1
            continue
        _invert_factor(factor)
        for i in range(width):
            for j in range(i + 1):
                out[top + i, j] = dot(factor, i, factor, j, j + 1)
        for i in range(width):
            for j in range(i):
                out[top + j, i] = out[top + i, j]
    return failed


@njit(cache=True)
def _factor(rows):
    """Lower triangle of rows [K, K]: a block's <- R's; False where the block is not positive definite."""
    for j in range(len(rows) - 1, -1, -1):
        if not rows[j, j] > 0:
            return False
        pivot = 1 / math.sqrt(rows[j, j])
        for i in range(j + 1):
            rows[j, i] *= pivot
        for i in range(j):
            add(rows, i, -rows[j, i], rows, j, i + 1)
    return True


@njit(cache=True)
def _invert_factor(rows):
    """Lower triangle of rows [K, K]: R's <- R⁻¹'s."""
    scratch = np.empty_like(rows[:1])
    for i in range(len(rows)):
        scratch[0, : i + 1] = 0
        for j in range(i):
            add(scratch, 0, -rows[i, j], rows, j, j + 1)
        pivot = 1 / rows[i, i]
        for j in range(i):
            rows[i, j] = scratch[0, j] * pivot
        rows[i, i] = pivot
