"""Compiled sums over all interactions, for models whose score is a dot product of rows (numba, CPU).

Axes: N interactions, grouped by user; U users, R = U + I rows (users first, then items), S listed rows, K columns of a
row, C parts that users are cut into, Z listed interactions.
A row is `rank` factors and, with `bias`, one more column: s = Σ_{k < rank} p_k q_k (+ p_rank + q_rank).
`order` [N] lists interactions grouped by one side (`start` points into it); `other` [N] is the row at the far end of
each, in that order, which ascends within a group.
Loss codes: 0 is binary cross-entropy with logits, 1 is half the squared error.

One pass serves both sides: a part of the users sums what it does to the items into a table of its own [C, I, K].
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from ifru.kernels.row_vectors import FAR, NEAR, add, add_two, dot, dots, fetch

# Sums may be reordered, which vectorising a dot product needs; NaN and infinity keep their meaning.
MATH = {"reassoc", "contract", "arcp", "nsz"}

_SMALL = 0.02
"""Below such a change of score its effect on the loss is a series: differences would lose digits."""

_PIECE = 16


@njit(cache=True, fastmath=MATH, inline="always")
def slopes_at(score, label, weight, loss):
    """First and second derivative of one weighted loss in its score."""
    if weight == 0.0:
        return score * 0, score * 0
    if loss == 0:
        one = type(score)(1)
        small = math.exp(-abs(score))
        larger = one / (one + small)
        smaller = small * larger
        return weight * ((larger if score >= 0 else smaller) - label), weight * larger * smaller
    return weight * (score - label), weight


@njit(cache=True, fastmath=MATH, inline="always")
def _change(score, delta, label, first, second, weight, loss):
    """w·(ℓ(s) − ℓ(s − δ)), from the slopes at s."""
    if loss == 1:
        return first * delta - type(score)(0.5) * weight * delta * delta
    if abs(delta) > _SMALL:
        before = score - delta
        rise = max(score, 0.0) + math.log1p(math.exp(-abs(score)))
        rise -= max(before, 0.0) + math.log1p(math.exp(-abs(before)))
        return weight * (rise - label * delta)
    probability, curvature = first / weight + label, second / weight
    one, half = type(score)(1), type(score)(0.5)
    cubic = (one - 2 * probability) * delta * type(score)(1 / 6)
    quartic = (one - 6 * curvature) * delta * delta * type(score)(1 / 24)
    return first * delta - second * delta * delta * (half - cubic + quartic)


@njit(cache=True)
def between(other, begin, end, least, most):
    """Of the places from begin to end, where `other` ascends, those whose row is from `least` to before `most`."""
    rows = other[begin:end]
    return begin + np.searchsorted(rows, least), begin + np.searchsorted(rows, most)


@njit(cache=True, parallel=True, fastmath=MATH)
def value(theta, user, item, label, weight, rank, bias, loss):
    """Σ w·ℓ(s), in float64 throughout."""
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


@njit(cache=True, parallel=True, fastmath=MATH)
def slopes(theta, user, item, label, weight, rank, bias, loss, first, second):
    """first, second [N] <- w·ℓ'(s), w·ℓ''(s). item [N] holds row numbers, U already added."""
    for z in prange(len(user)):
        score = dot(theta, user[z], theta, item[z], rank)
        if bias:
            score += theta[user[z], rank] + theta[item[z], rank]
        first[z], second[z] = slopes_at(score, label[z], weight[z], loss)


@njit(cache=True, parallel=True, fastmath=MATH)
def gradient(theta, rows, side, start, order, other, first, ridge, rank, bias, out):
    """out [S, K] <- gradient of L in rows [S] of one side. ridge [R] = λ·degree; side: its first row."""
    for m in prange(len(rows)):
        e = rows[m]
        for k in range(theta.shape[1]):
            out[m, k] = ridge[e] * theta[e, k]
        end = start[e - side + 1]
        for j in range(start[e - side], end):
            if j + FAR < end:
                fetch((first,), order[j + FAR])
            if j + NEAR < end:
                fetch((theta,), other[j + NEAR])
            z = order[j]
            slope = first[z]
            if slope != 0.0:
                add(out, m, slope, theta, other[j], rank)
                if bias:
                    out[m, rank] += slope


@njit(cache=True, parallel=True, fastmath=MATH)
def product(theta, x, cuts, start, item, first, second, ridge, rank, bias, parts, out):
    """out [R, K] <- H x. cuts [C + 1]: the first user of each part; parts [C, I, K]: scratch."""
    users = len(start) - 1
    for c in prange(len(cuts) - 1):
        mine = parts[c]
        mine[:] = 0
        for u in range(cuts[c], cuts[c + 1]):
            for k in range(theta.shape[1]):
                out[u, k] = ridge[u] * x[u, k]
            for z in range(start[u], start[u + 1]):
                i, slope = item[z], first[z]
                tangent = dots(x, u, theta, i, theta, u, x, i, rank)
                if bias:
                    tangent += x[u, rank] + x[i, rank]
                curved = second[z] * tangent
                add_two(out, u, curved, theta, i, slope, x, i, rank)
                add_two(mine, i - users, curved, theta, u, slope, x, u, rank)
                if bias:
                    out[u, rank] += curved
                    mine[i - users, rank] += curved
    _sum_items(x, ridge, users, parts, out)


@njit(cache=True, parallel=True, fastmath=MATH)
def onto_users(theta, x, cuts, start, item, first, second, rank, bias, out):
    """out [U, K] <- what items' x [I, K] does to the users by the off-diagonal part of H. cuts: as in `product`."""
    users = len(start) - 1
    for c in prange(len(cuts) - 1):
        for u in range(cuts[c], cuts[c + 1]):
            out[u] = 0
            for z in range(start[u], start[u + 1]):
                i = item[z]
                tangent = dot(theta, u, x, i - users, rank)
                if bias:
                    tangent += x[i - users, rank]
                curved = second[z] * tangent
                add_two(out, u, curved, theta, i, first[z], x, i - users, rank)
                if bias:
                    out[u, rank] += curved


@njit(cache=True, parallel=True, fastmath=MATH)
def onto_items(theta, x, cuts, start, item, first, second, rank, bias, parts, out):
    """out [I, K] <- what users' x [U, K] does to the items by the same. cuts, parts: as in `product`."""
    users = len(start) - 1
    for c in prange(len(cuts) - 1):
        mine = parts[c]
        mine[:] = 0
        for u in range(cuts[c], cuts[c + 1]):
            for z in range(start[u], start[u + 1]):
                i = item[z]
                tangent = dot(theta, i, x, u, rank)
                if bias:
                    tangent += x[u, rank]
                curved = second[z] * tangent
                add_two(mine, i - users, curved, theta, u, first[z], x, u, rank)
                if bias:
                    mine[i - users, rank] += curved
    for m in prange(parts.shape[1]):
        for k in range(x.shape[1]):
            total = parts[0, m, k]
            for c in range(1, len(parts)):
                total += parts[c, m, k]
            out[m, k] = total


@njit(cache=True, parallel=True, fastmath=MATH)
def advance(theta, x, new, cuts, start, item, label, weight, ridge, rank, bias, loss, first, second, parts, gradient):
    """What a step x [R, K] from θ does: new = θ + x, slopes [N] and ∇L [R, K] there, and the change of L.

    cuts, parts: as in `product`.
    """
    users = len(start) - 1
    total = 0.0
    for e in prange(len(theta)):
        penalty = 0.0
        for k in range(theta.shape[1]):
            new[e, k] = theta[e, k] + x[e, k]
            penalty += np.float64(x[e, k]) * (np.float64(theta[e, k]) + np.float64(new[e, k]))
        total += 0.5 * ridge[e] * penalty
    for c in prange(len(cuts) - 1):
        mine = parts[c]
        mine[:] = 0
        for u in range(cuts[c], cuts[c + 1]):
            for k in range(theta.shape[1]):
                gradient[u, k] = ridge[u] * new[u, k]
            for z in range(start[u], start[u + 1]):
                if weight[z] == 0.0:
                    first[z] = 0.0
                    second[z] = 0.0
                    continue
                i = item[z]
                score = dot(new, u, new, i, rank)
                delta = dots(x, u, theta, i, new, u, x, i, rank)
                if bias:
                    score += new[u, rank] + new[i, rank]
                    delta += x[u, rank] + x[i, rank]
                slope, curvature = slopes_at(score, label[z], weight[z], loss)
                first[z], second[z] = slope, curvature
                total += _change(score, delta, label[z], slope, curvature, weight[z], loss)
                add(gradient, u, first[z], new, i, rank)
                add(mine, i - users, first[z], new, u, rank)
                if bias:
                    gradient[u, rank] += slope
                    mine[i - users, rank] += slope
    _sum_items(new, ridge, users, parts, gradient)
    return total


@njit(cache=True, parallel=True, fastmath=MATH)
def _sum_items(x, ridge, users, parts, out):
    """Item rows of out [R, K] <- ridge·x + Σ_c parts [C, I, K]."""
    for m in prange(parts.shape[1]):
        for k in range(x.shape[1]):
            total = ridge[users + m] * x[users + m, k]
            for c in range(len(parts)):
                total += parts[c, m, k]
            out[users + m, k] = total


@njit(cache=True, parallel=True, fastmath=MATH)
def blocks(theta, rows, side, start, order, other, second, ridge, rank, bias, out):
    """out [S·K, K] <- Gauss-Newton diagonal blocks of rows [S] of one side."""
    width = theta.shape[1]
    for m in prange(len(rows)):
        e, top = rows[m], m * width
        out[top : top + width] = 0
        end = start[e - side + 1]
        for place in range(start[e - side], end):
            if place + FAR < end:
                fetch((second,), order[place + FAR])
            if place + NEAR < end:
                fetch((theta,), other[place + NEAR])
            z = order[place]
            f, curvature = other[place], second[z]
            if curvature == 0.0:
                continue
            for k in range(rank):
                add(out, top + k, curvature * theta[f, k], theta, f, min(k // _PIECE * _PIECE + _PIECE, rank))
            if bias:
                add(out, top + rank, curvature, theta, f, rank)
                out[top + rank, rank] += curvature
        for k in range(width):
            for j in range(k):
                out[top + j, k] = out[top + k, j]
            out[top + k, k] += ridge[e]


@njit(cache=True, fastmath=MATH)
def pull(theta, interactions, user, item, place, first, l2, rank, bias, out):
    """out [S, K] <- the part of ∇L that is due to interactions [Z], penalty included; place [R]: where a row stands."""
    out[:] = 0
    for m in range(len(interactions)):
        z = interactions[m]
        u, i, slope = user[z], item[z], first[z]
        for e, f in ((u, i), (i, u)):
            add_two(out, place[e], slope, theta, f, l2, theta, e, rank)
            if bias:
                out[place[e], rank] += slope + l2 * theta[e, rank]
