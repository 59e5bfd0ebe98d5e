"""Compiled loop of a push: one side's rows move, and the other side's debt follows.

Axes and arguments as in `ifru.kernels.bilinear`.
"""

from __future__ import annotations

import math

from numba import njit, prange

from ifru.kernels.bilinear import MATH, between, slopes_at
from ifru.kernels.row_vectors import FAR, NEAR, add, add_two, dot, fetch


@njit(cache=True, fastmath=MATH)
def spread_side(
    gains,
    reached,
    owed,
    own,
    least,
    most,
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
    marked,
):
    """Carry the move of one side's rows (before [S, K] -> theta) into slopes and debt, their own and their neighbours'.

    Of the neighbours those from row `least` to before `most` are seen to, and own [S, K] <- the rows' own data term of
    the gradient that comes from these.
    gains [S] <- what a step of length 1 adds to these neighbours at most, where the ridge is at least `heavy`.
    reached [R] <- these neighbours, each once, and owed [R] <- ‖r‖²/ridge of theirs; marked [R] is clean before and
    after. Returns how many these are, and the interactions read.
    """
    found, read = 0, 0
    own[:] = 0
    for m in range(len(rows)):
        e = rows[m]
        measured = ridge[e] >= heavy
        gain, length = 0.0, dot(theta, e, theta, e, rank) + bias
        begin, end = between(other, start[e - side], start[e - side + 1], least, most)
        for j in range(begin, end):
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
            add(own, m, first[z], theta, f, rank)
            add_two(debt, f, first[z], theta, e, -old, before, m, rank)
            if bias:
                own[m, rank] += first[z]
                debt[f, rank] += first[z] - old
            if measured:
                far = dot(theta, f, theta, f, rank) + bias
                pull = abs(slope) + curvature * math.sqrt(length * far)
                gain += pull * pull / ridge[f]
        gains[m] = gain if measured else math.inf
    _close(reached[:found], debt, ridge, marked, owed)
    return found, read


@njit(cache=True, parallel=True, fastmath=MATH)
def spread_side_many(gains, reached, owed, own, cuts, counts, *tables):
    """`spread_side` in parts of the neighbours, from cuts[c] to before cuts[c + 1], one for each core.

    gains [C, S], own [C, S, K]. A part's reached and owed stand from reached[cuts[c] − cuts[0]] on. counts [C, 2] <-
    what `spread_side` returns. tables: its other arguments.
    """
    for c in prange(len(own)):
        place = slice(cuts[c] - cuts[0], cuts[c + 1] - cuts[0])
        counts[c] = spread_side(gains[c], reached[place], owed[place], own[c], cuts[c], cuts[c + 1], *tables)


@njit(cache=True, fastmath=MATH)
def _close(reached, debt, ridge, marked, owed):
    """Clean the marks of reached rows, and tell what these owe."""
    for m in range(len(reached)):
        if m + NEAR < len(reached):
            fetch((debt, ridge, marked), reached[m + NEAR])
        f = reached[m]
        owed[m] = dot(debt, f, debt, f, debt.shape[1]) / ridge[f]
        marked[f] = False
