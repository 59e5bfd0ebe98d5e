"""Compiled inverses of small symmetric blocks, and products with them (numba, CPU).

Batched operators of torch call a library once a block, which at these sizes takes longer than the sums.
Axes: S blocks, K rows and columns of a block, Z vectors. A stack of blocks [S, K, K] is passed as its rows [S·K, K].
"""

from __future__ import annotations

import math

import numpy as np

from ifru.kernels.cores import cores, counted_on_cores, loop, on_cores, part
from ifru.kernels.row_vectors import add, dot


@loop()
def multiply(blocks, place, at, x, out, many):
    """out[at] <- block `place` times x[at], for place, at [S]; symmetric blocks. The rest of out [·, K] stays.

    many: on all cores.
    """
    on_cores(_multiply, cores(len(at)) if many else 0, (blocks, place, at, x, out))


@part()
def _multiply(c, parts, blocks, place, at, x, out):
    width = x.shape[1]
    for m in range(c * len(at) // parts, (c + 1) * len(at) // parts):
        for k in range(width):
            out[at[m], k] = dot(blocks, place[m] * width + k, x, at[m], width)


@loop()
def invert(blocks, width, out):
    """out [S·K, K] <- inverses of positive definite blocks [S·K, K]; a zero block gives zero.

    By factors B = RᵀR with R lower triangular, B⁻¹ = R⁻¹R⁻ᵀ: rows are then read from their beginning. Returns the
    number of blocks that are not positive definite; they give zero.
    """
    return counted_on_cores(_invert, cores(len(blocks) // width), (blocks, width, out))


@part()
def _invert(c, parts, blocks, width, out):
    failed, some, factor = 0, len(blocks) // width, np.empty((width, width), blocks.dtype)
    for m in range(c * some // parts, (c + 1) * some // parts):
        top = m * width
        for i in range(width):
            for j in range(i + 1):
                factor[i, j] = blocks[top + i, j]
        if not _factor(factor):
            out[top : top + width] = 0
            failed += _is_any(blocks, top, width)
            continue
        _invert_factor(factor)
        for i in range(width):
            for j in range(i + 1):
                out[top + i, j] = dot(factor, i, factor, j, j + 1)
        for i in range(width):
            for j in range(i):
                out[top + j, i] = out[top + i, j]
    return failed


@part(inline="always")
def _is_any(rows, top, width):
    """Whether any number of a block is not zero."""
    for i in range(width):
        for j in range(width):
            if rows[top + i, j] != 0:
                return True
    return False


@part()
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


@part()
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


@loop()
def take_out(inverses, place, factors, start, determinant, size):
    """Blocks place[m] of inverses [C·K, K] <- (inverse⁻¹ − WᵀW)⁻¹, by a rank-1 down-date for each row of W [Z, K].

    Block m of the listed ones has the factors from start[m] to start[m + 1]. determinant [S] <- that of I − WPWᵀ; where
    this is not positive definite it is zero, and the block is left half-way. size [S] <- ‖inverse‖_F afterwards.
    """
    width = factors.shape[1]
    solved = np.empty((1, width), factors.dtype)
    for m in range(len(determinant)):
        top = place[m] * width
        determinant[m] = 1
        for z in range(start[m], start[m + 1]):
            for k in range(width):
                solved[0, k] = dot(inverses, top + k, factors, z, width)
            left = 1 - dot(factors, z, solved, 0, width)
            if not left > 0:
                determinant[m] = 0
                break
            determinant[m] *= left
            for k in range(width):
                add(inverses, top + k, solved[0, k] / left, solved, 0, width)
        total = 0.0
        for k in range(width):
            total += dot(inverses, top + k, inverses, top + k, width)
        size[m] = math.sqrt(total)


@loop()
def lower_penalty(inverses, place, penalty, largest, rounding, ratio, dropped):
    """Blocks place[m] of inverses P [C·K, K] <- (P⁻¹ − δI)⁻¹ for δ = penalty[m], by a series of (δP)^(2^k).

    ratio [S] <- a bound on ‖δP‖; past `largest` the block stays. dropped [S] <- what the series leaves out, at most
    `rounding`.
    """
    shared = inverses, place, penalty, largest, rounding, ratio, dropped
    on_cores(_lower_penalty, cores(len(place)), shared)


@part()
def _lower_penalty(c, parts, inverses, place, penalty, largest, rounding, ratio, dropped):
    width = inverses.shape[1]
    power, scratch = np.empty((width, width), inverses.dtype), np.empty((width, width), inverses.dtype)
    for m in range(c * len(place) // parts, (c + 1) * len(place) // parts):
        top, shift = place[m] * width, penalty[m]
        block = inverses[top : top + width]
        size = _multiply_into(block, block, power)
        ratio[m] = shift * math.sqrt(math.sqrt(size))
        dropped[m] = ratio[m] * ratio[m]
        if ratio[m] > largest:
            continue
        for i in range(width):
            add(block, i, shift, power, i, width)
        for i in range(width):
            for k in range(width):
                power[i, k] *= shift * shift
        while dropped[m] > rounding:
            _multiply_into(power, block, scratch)
            for i in range(width):
                add(block, i, block.dtype.type(1), scratch, i, width)
            dropped[m] *= dropped[m]
            if dropped[m] > rounding:
                _multiply_into(power, power, scratch)
                power, scratch = scratch, power


@part()
def _multiply_into(a, b, out):
    """out <- ab, all [K, K]; returns ‖ab‖_F²."""
    width, size = len(a), 0.0
    for i in range(width):
        out[i] = 0
        for j in range(width):
            add(out, i, a[i, j], b, j, width)
        size += dot(out, i, out, i, width)
    return size
