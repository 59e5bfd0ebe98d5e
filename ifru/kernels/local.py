"""Compiled loops over the interactions of listed rows: what they cost depends on those rows alone.

Axes and arguments as in `ifru.kernels.bilinear`; Z interactions with both ends in a support of S rows, of
which A are users, which come first.
"""

from __future__ import annotations

import math

from numba import njit, prange

from ifru.kernels.bilinear import MATH, between, slopes_at
from ifru.kernels.row_vectors import FAR, NEAR, add_two, dot, fetch


@njit(cache=True)
def coupling(users, place, start, item, weight, interaction, far, bounds):
    """interaction [Z], far [Z], bounds [A + 1] <- retained interactions of `users` [A] whose item is in the support.

    place [R] is where a row stands in the support, -1 elsewhere; far [Z] is the item's. Returns how many there are.
    """
    found = 0
    bounds[0] = 0
    for m in range(len(users)):
        u = users[m]
        for z in range(start[u], start[u + 1]):
            there = place[item[z]]
            if there >= 0 and weight[z] != 0.0:
                interaction[found] = z
                far[found] = there
                found += 1
        bounds[m + 1] = found
    return found


@njit(cache=True, parallel=True, fastmath=MATH)
def coupled_product(theta, cuts, bounds, far, first, second, x, rank, bias, parts, out):
    """out [S, K] <- the off-diagonal part of H_SS x. theta [S, K]: the support's rows; far, first, second [Z].

    cuts [C + 1]: the first user of each part; parts [C, S − A, K]: scratch.
    """
    users = len(bounds) - 1
    for c in prange(len(cuts) - 1):
        mine = parts[c]
        mine[:] = 0
        for u in range(cuts[c], cuts[c + 1]):
            out[u] = 0
            for z in range(bounds[u], bounds[u + 1]):
                i, slope = far[z], first[z]
                of_user, of_item = dot(theta, u, x, i, rank), dot(theta, i, x, u, rank)
                if bias:
                    of_user += x[i, rank]
                    of_item += x[u, rank]
                of_user *= second[z]
                of_item *= second[z]
                add_two(out, u, of_user, theta, i, slope, x, i, rank)
                add_two(mine, i - users, of_item, theta, u, slope, x, u, rank)
                if bias:
                    out[u, rank] += of_user
                    mine[i - users, rank] += of_item
    out[users:] = parts[0]
    for c in range(1, len(parts)):
        out[users:] += parts[c]


@njit(cache=True, parallel=True, fastmath=MATH)
def spread(cuts, *tables):
    """Carry the move of one side's rows [S] (before [S, K] -> theta) into slopes and into their neighbours' debt.

    cuts [C + 1]: the first far row of each part. tables: the other arguments of a part. Returns interactions read.
    """
    read = 0
    for c in prange(len(cuts) - 1):
        read += _spread_part(cuts[c], cuts[c + 1], *tables)
    return read


@njit(cache=True, fastmath=MATH)
def _spread_part(
    least,
    most,
    before,
    theta,
    rows,
    side,
    start,
    order,
    other,
    skip,
    label,
    weight,
    rank,
    bias,
    loss,
    first,
    second,
    debt,
):
    """`spread` to the far rows from `least` to before `most`.

    skip [R] marks far rows whose interactions were carried over from their own side.
    """
    read = 0
    for m in range(len(rows)):
        e = rows[m]
        begin, end = between(other, start[e - side], start[e - side + 1], least, most)
        for j in range(begin, end):
            if j + FAR < end:
                fetch((label, first), order[j + FAR])
            if j + NEAR < end:
                fetch((theta, debt, skip), other[j + NEAR])
            z = order[j]
            f = other[j]
            if weight[z] == 0.0 or skip[f]:
                continue
            read += 1
            old = first[z]
            score = dot(theta, e, theta, f, rank)
            if bias:
                score += theta[e, rank] + theta[f, rank]
            new, second[z] = slopes_at(score, label[z], weight[z], loss)
            first[z] = new
            add_two(debt, f, first[z], theta, e, -old, before, m, rank)
            if bias:
                debt[f, rank] += first[z] - old
    return read


@njit(cache=True, parallel=True, fastmath=MATH)
def pull_along(cuts, *tables):
    """Add up what a step [S, K] of one side's rows adds to their neighbours' debt.

    cuts [C + 1]: the first far row of each part. tables: the other arguments of a part. Returns interactions read.
    """
    read = 0
    for c in prange(len(cuts) - 1):
        read += _pull_along_part(cuts[c], cuts[c + 1], *tables)
    return read


@njit(cache=True, fastmath=MATH)
def _pull_along_part(
    least, most, theta, rows, step, side, start, order, other, first, second, rank, bias, added, reached
):
    """`pull_along` to the far rows from `least` to before `most`: added [R, K] +=, and reached [R] marks them."""
    read = 0
    for m in range(len(rows)):
        e = rows[m]
        begin, end = between(other, start[e - side], start[e - side + 1], least, most)
        for j in range(begin, end):
            if j + FAR < end:
                fetch((first,), order[j + FAR])
            if j + NEAR < end:
                fetch((theta, added, reached), other[j + NEAR])
            z = order[j]
            slope, curvature = first[z], second[z]
            if slope == 0.0 and curvature == 0.0:
                continue
            read += 1
            f = other[j]
            reached[f] = True
            tangent = dot(step, m, theta, f, rank)
            if bias:
                tangent += step[m, rank]
            tangent *= curvature
            add_two(added, f, tangent, theta, e, slope, step, m, rank)
            if bias:
                added[f, rank] += tangent
    return read


@njit(cache=True, fastmath=MATH)
def factors(theta, interactions, other, second, rank, bias, out):
    """out [Z, K] <- √(w·ℓ'')·J of listed interactions [Z], in the blocks of the rows that `other` is the far end of."""
    for m in range(len(interactions)):
        z = interactions[m]
        root = math.sqrt(second[z])
        for k in range(rank):
            out[m, k] = root * theta[other[z], k]
        if bias:
            out[m, rank] = root


@njit(cache=True)
def meet(rows, side, start, order, other, place, met, reached):
    """Count for both ends the interactions of one side's rows in met [R], and mark the far ends in reached [R].

    Interactions of items with a user whose place [R] is not negative are passed over: they were met from there.
    """
    for m in range(len(rows)):
        e = rows[m]
        end = start[e - side + 1]
        for j in range(start[e - side], end):
            if j + NEAR < end:
                fetch((met, reached), other[j + NEAR])
            f = other[j]
            if side > 0 and place[f] >= 0:
                continue
            met[e] += 1
            met[f] += 1
            reached[f] = True
