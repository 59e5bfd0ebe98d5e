"""Sums of outer products Σ s·aᵀa of rows, which diagonal blocks are made of (numba, CPU).

What is summed is gathered a few rows at a time, with room for whole vector instructions; a tile of the sums then stays
in registers while all of these are added.

Axes: Z gathered rows, K columns of a row, W of them with room.
"""

from __future__ import annotations

import numpy as np

from ifru.kernels.cores import part
from ifru.kernels.row_vectors import LINE, TILE, add_outer

AT_ONCE = 32
"""Rows that are gathered, so that they stay in the nearest cache."""


@part(inline="always")
def scratch(width, table):
    """Rows [Z, W] of zeros of a table's type, their scales [Z], and sums [W, W]."""
    lanes = LINE // table.itemsize
    room = (width + lanes - 1) // lanes * lanes
    rows = np.zeros((AT_ONCE, room), table.dtype)
    return rows, np.empty(AT_ONCE, table.dtype), np.zeros((room, room), table.dtype)


@part()
def add_rows(rows, scales, count, width, sums):
    """Lower triangle of sums [W, W] += Σ scales[z]·rows[z]ᵀrows[z] over z < count."""
    lanes = LINE // rows.itemsize
    for i in range(0, width, TILE):
        for j in range(0, i + TILE, lanes):
            add_outer(sums, i, j, rows, scales, count)


@part()
def write_block(sums, width, ridge, out, top):
    """The block from row `top` of out [·, K] <- what lower triangle `sums` stands for, and ridge·I; sums <- 0."""
    for k in range(width):
        for j in range(k):
            out[top + k, j] = sums[k, j]
            out[top + j, k] = sums[k, j]
        out[top + k, k] = sums[k, k] + ridge
        sums[k] = 0
