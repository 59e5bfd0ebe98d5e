"""Compiled loops for models whose score is a dot product of rows (numba, CPU).

Axes: N interactions, R = U + I rows (users first, then items), K columns of a row, Z listed interactions.
A row is `rank` factors and, with `bias`, one more column: s = Σ_{k < rank} p_k q_k (+ p_rank + q_rank).
`order` [N] lists interactions grouped by one side (`start` points into it); `other` [N] is the row at the far end.
Loss codes: 0 is binary cross-entropy with logits, 1 is half the squared error.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

# Sums may be reordered, which vectorising a dot product needs; NaN and infinity keep their meaning.
_MATH = {"reassoc", "contract", "arcp", "nsz"}


@njit(cache=True, fastmath=_MATH, inline="always")
def _dot(a, b, rank, bias):
    total = a[0] * b[0]
    for k in range(1, rank):
        total += a[k] * b[k]
    if bias:
        total += a[rank] + b[rank]
    return total


@njit(cache=True, fastmath=_MATH, inline="always")
def _slopes(score, label, weight, loss):
    """First and second derivative of one weighted loss in its score."""
    if weight == 0.0:
        return score * 0, score * 0
    if loss == 0:
        small = math.exp(-abs(score))
        probability = 1.0 / (1.0 + small) if score >= 0 else small / (1.0 + small)
        return weight * (probability - label), weight * small / ((1.0 + small) * (1.0 + small))
    return weight * (score - label), weight


@njit(cache=True, parallel=True, fastmath=_MATH)
def value(theta, user, item, label, weight, rank, bias, loss):
    """Σ w·ℓ(s), in float64 throughout: a trust region compares values that agree to many digits."""
    total = 0.0
    for z in prange(len(user)):
        if weight[z] != 0.0:
            p, q, score = theta[user[z]], theta[item[z]], 0.0
            for k in range(rank):
                score += np.float64(p[k]) * np.float64(q[k])
            if bias:
                score += np.float64(p[rank]) + np.float64(q[rank])
            if loss == 0:
                total += weight[z] * (max(score, 0.0) + math.log1p(math.exp(-abs(score))) - label[z] * score)
            else:
                total += weight[z] * 0.5 * (score - label[z]) ** 2
    return total


@njit(cache=True, parallel=True, fastmath=_MATH)
def slopes(theta, user, item, label, weight, rank, bias, loss, first, second):
    """first, second [N] <- w·ℓ'(s), w·ℓ''(s). item [N] holds row numbers, U already added."""
    for z in prange(len(user)):
        score = _dot(theta[user[z]], theta[item[z]], rank, bias)
        first[z], second[z] = _slopes(score, label[z], weight[z], loss)


@njit(cache=True, parallel=True, fastmath=_MATH)
def gradient(theta, rows, side, start, order, other, first, ridge, rank, bias, out):
    """out [len(rows), K] <- gradient of L in the rows of one side. ridge [R] = λ·degree; side: its first row."""
    for m in prange(len(rows)):
        e = rows[m]
        for k in range(theta.shape[1]):
            out[m, k] = ridge[e] * theta[e, k]
        for j in range(start[e - side], start[e - side + 1]):
            z = order[j]
            slope = first[z]
            if slope != 0.0:
                far = theta[other[z]]
                for k in range(rank):
                    out[m, k] += slope * far[k]
                if bias:
                    out[m, rank] += slope


@njit(cache=True, parallel=True, fastmath=_MATH)
def product_users(theta, x, users, start, item, first, second, ridge, rank, bias, tangent, out):
    """User rows of out [R, K] <- H x, and tangent [N] <- ds/dx, which the item rows reuse."""
    for u in prange(users):
        for k in range(theta.shape[1]):
            out[u, k] = ridge[u] * x[u, k]
        for z in range(start[u], start[u + 1]):
            if second[z] == 0.0 and first[z] == 0.0:
                tangent[z] = 0.0
                continue
            i = item[z]
            t = x[u, 0] * theta[i, 0] + theta[u, 0] * x[i, 0]
            for k in range(1, rank):
                t += x[u, k] * theta[i, k] + theta[u, k] * x[i, k]
            if bias:
                t += x[u, rank] + x[i, rank]
            tangent[z] = t
            curved, slope = second[z] * t, first[z]
            for k in range(rank):
                out[u, k] += curved * theta[i, k] + slope * x[i, k]
            if bias:
                out[u, rank] += curved


@njit(cache=True, parallel=True, fastmath=_MATH)
def product_items(theta, x, users, start, order, user, first, second, ridge, rank, bias, tangent, out):
    """Item rows of out [R, K] <- H x, from the tangents of product_users."""
    for m in prange(len(start) - 1):
        i = users + m
        for k in range(theta.shape[1]):
            out[i, k] = ridge[i] * x[i, k]
        for j in range(start[m], start[m + 1]):
            z = order[j]
            u = user[z]
            curved, slope = second[z] * tangent[z], first[z]
            for k in range(rank):
                out[i, k] += curved * theta[u, k] + slope * x[u, k]
            if bias:
                out[i, rank] += curved


@njit(cache=True, parallel=True, fastmath=_MATH)
def blocks(theta, rows, side, start, order, other, second, ridge, rank, bias, out):
    """out [len(rows), K, K] <- Gauss-Newton diagonal blocks of the rows of one side."""
    width = theta.shape[1]
    for m in prange(len(rows)):
        e = rows[m]
        block = out[m]
        block[:] = 0
        jacobian = np.empty(width, theta.dtype)
        for place in range(start[e - side], start[e - side + 1]):
            z = order[place]
            curvature = second[z]
            if curvature == 0.0:
                continue
            for k in range(width):
                jacobian[k] = theta[other[z], k]
            if bias:
                jacobian[rank] = 1
            for k in range(width):
                scaled = curvature * jacobian[k]
                for j in range(k + 1):
                    block[k, j] += scaled * jacobian[j]
        for k in range(width):
            for j in range(k):
                block[j, k] = block[k, j]
            block[k, k] += ridge[e]


@njit(cache=True)
def coupling(users, place, start, item, weight, interaction, ends):
    """interaction [Z], ends [Z, 2] <- retained interactions of `users` whose item is in the support; returns how many.

    place [R] is where a row stands in the support, -1 elsewhere; its users come first.
    """
    found = 0
    for m in range(len(users)):
        u = users[m]
        for z in range(start[u], start[u + 1]):
            there = place[item[z]]
            if there >= 0 and weight[z] != 0.0:
                interaction[found] = z
                ends[found, 0] = m
                ends[found, 1] = there
                found += 1
    return found


@njit(cache=True, fastmath=_MATH)
def coupled_product(theta, ends, first, second, x, rank, bias, out):
    """out [S, K] <- the off-diagonal part of H_SS x. theta [S, K]: the support's rows; ends, first, second [Z]."""
    out[:] = 0
    for z in range(len(ends)):
        u, i = ends[z, 0], ends[z, 1]
        of_user, of_item = theta[u, 0] * x[i, 0], theta[i, 0] * x[u, 0]
        for k in range(1, rank):
            of_user += theta[u, k] * x[i, k]
            of_item += theta[i, k] * x[u, k]
        if bias:
            of_user += x[i, rank]
            of_item += x[u, rank]
        of_user *= second[z]
        of_item *= second[z]
        slope = first[z]
        for k in range(rank):
            out[u, k] += of_user * theta[i, k] + slope * x[i, k]
            out[i, k] += of_item * theta[u, k] + slope * x[u, k]
        if bias:
            out[u, rank] += of_user
            out[i, rank] += of_item


@njit(cache=True, fastmath=_MATH)
def spread(before, theta, rows, side, start, order, other, skip, label, weight, rank, bias, loss, first, second, debt):
    """Carry the move of one side's rows [S] (before [S, K] -> theta) into slopes and into their neighbours' debt.

    skip [R] marks far rows whose interactions were carried over from their own side. Returns interactions read.
    """
    read = 0
    for m in range(len(rows)):
        e = rows[m]
        for j in range(start[e - side], start[e - side + 1]):
            z = order[j]
            f = other[z]
            if weight[z] == 0.0 or skip[f]:
                continue
            read += 1
            old = first[z]
            score = _dot(theta[e], theta[f], rank, bias)
            new, second[z] = _slopes(score, label[z], weight[z], loss)
            first[z] = new
            for k in range(rank):
                debt[f, k] += new * theta[e, k] - old * before[m, k]
            if bias:
                debt[f, rank] += new - old
    return read


@njit(cache=True, fastmath=_MATH)
def pull_along(theta, rows, step, side, start, order, other, first, second, rank, bias, added, reached):
    """added [R, K] += what a step [S, K] of one side's rows adds to their neighbours' debt; reached [R] marks these."""
    read = 0
    for m in range(len(rows)):
        e = rows[m]
        for j in range(start[e - side], start[e - side + 1]):
            z = order[j]
            slope, curvature = first[z], second[z]
            if slope == 0.0 and curvature == 0.0:
                continue
            read += 1
            f = other[z]
            reached[f] = True
            tangent = step[m, 0] * theta[f, 0]
            for k in range(1, rank):
                tangent += step[m, k] * theta[f, k]
            if bias:
                tangent += step[m, rank]
            tangent *= curvature
            for k in range(rank):
                added[f, k] += tangent * theta[e, k] + slope * step[m, k]
            if bias:
                added[f, rank] += tangent
    return read


@njit(cache=True)
def mark_neighbours(rows, side, start, order, other, near):
    """near [R] <- True for one side's rows and for every row that they have an interaction with."""
    for m in range(len(rows)):
        e = rows[m]
        near[e] = True
        for j in range(start[e - side], start[e - side + 1]):
            near[other[order[j]]] = True
