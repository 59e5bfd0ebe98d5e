"""Compiled loop of a push: one side's rows move, and the other side's debt follows.

Axes and arguments as in `ifru.objective.bilinear_kernels`.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ifru.objective.bilinear_kernels import MATH, slopes_at
from ifru.objective.row_vectors import FAR, NEAR, add, add_two, dot, fetch


@njit(cache=True, fastmath=MATH)
def spread_side(
    before,
    theta,
    rows,
    side,
    start,
    order,
    other,
    label,
    weight,
    ridge,
    heavy,
    rank,
    bias,
    loss,
    first,
    second,
    debt,
    gains,
    marked,
    reached,
    owed,
):
    """Carry the move of one side's rows (before [S, K] -> theta) into slopes and debt, their own and their neighbours'.

    gains [S] <- what a step of length 1 adds to the neighbours at most, where the ridge is at least `heavy`.
    reached [R] <- the neighbours, each once, and owed [R] <- ‖r‖²/ridge of theirs; marked [R] is clean before and
    after. Returns how many these are, and the interactions read.
    """
    found, read, width = 0, 0, theta.shape[1]
    own = np.empty((1, width), theta.dtype)
    for m in range(len(rows)):
        e = rows[m]
        measured = ridge[e] >= heavy
        gain, length = 0.0, dot(theta, e, theta, e, rank) + bias
        for k in range(width):
            own[0, k] = ridge[e] * theta[e, k]
        end = start[e - side + 1]
        for j in range(start[e - side], end):
            if j + FAR < end:
                fetch((label, first), order[j + FAR])
            if j + NEAR < end:
                fetch((theta, debt, ridge, marked), other[j + NEAR])
            z = order[j]
            if weight[z] == 0.0:
                continue
            f = other[j]
            read += 1
            if not marked[f]:
                marked[f] = True
                reached[found] = f
                found += 1
            old = first[z]
            score = dot(theta, e, theta, f, rank)
            if bias:
                score += theta[e, rank] + theta[f, rank]
            slope, curvature = slopes_at(score, label[z], weight[z], loss)
            first[z], second[z] = slope, curvature
            add(own, 0, first[z], theta, f, rank)
            add_two(debt, f, first[z], theta, e, -old, before, m, rank)
            if bias:
                own[0, rank] += first[z]
                debt[f, rank] += first[z] - old
            if measured:
                far = dot(theta, f, theta, f, rank) + bias
                pull = abs(slope) + curvature * math.sqrt(length * far)
                gain += pull * pull / ridge[f]
        gains[m] = gain if measured else math.inf
        for k in range(width):
            debt[e, k] = own[0, k]
    _close(reached[:found], debt, ridge, marked, owed)
    return found, read


@njit(cache=True, fastmath=MATH)
def _close(reached, debt, ridge, marked, owed):
    """Clean the marks of reached rows, and tell what these owe."""
    for m in range(len(reached)):
        if m + NEAR < len(reached):
            fetch((debt, ridge, marked), reached[m + NEAR])
        f = reached[m]
        owed[m] = dot(debt, f, debt, f, debt.shape[1]) / ridge[f]
        marked[f] = False
