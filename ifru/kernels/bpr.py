"""Compiled sums over the terms of a positive and a negative of one user, t = s_positive − s_negative (numba, CPU).

A user's interactions lie together, and so do the terms: what a term takes from one interaction to the other stays
within the pass over that user. origin [N]: the positive of a sampled negative, its own position for every other row.
A term stands at its negative: weight [N] is its weight there, and zero elsewhere. first, second [N]: what terms give to
the derivatives in an interaction's score, the second ones without what joins two scores; at a negative, second is ℓ''.

Axes and other arguments as in `ifru.kernels.bilinear`; along, curved, score, change [N] are scratch.
"""

from __future__ import annotations

import math

import numpy as np

from ifru.kernels.bilinear import change_of_penalty, sum_items
from ifru.kernels.cores import cores, loop, on_cores, part, share, summed_on_cores
from ifru.kernels.outer import AT_ONCE, add_rows, scratch, write_block
from ifru.kernels.row_vectors import add, copy
from ifru.kernels.score import (
    MATH,
    add_gradients,
    add_products,
    change_of_loss,
    changes_of_score,
    loss_derivatives,
    scores_of,
)


@loop()
def value(theta, user, item, origin, weight, form):
    """Σ w·softplus(−t), in float64 throughout. item [N] holds row numbers, U already added."""
    return summed_on_cores(_value, cores(len(user)), (theta, user, item, origin, weight, form))


@part(fastmath=MATH)
def _value(c, parts, theta, user, item, origin, weight, form):
    (rank, bias, _), total = form, 0.0
    begin, end = share(c, parts, len(user))
    for z in range(begin, end):
        if weight[z] != 0.0:
            p, liked, drawn, t = theta[user[z]], theta[item[origin[z]]], theta[item[z]], 0.0
            for k in range(rank):
                t += np.float64(p[k]) * (np.float64(liked[k]) - np.float64(drawn[k]))
            if bias:
                t += np.float64(liked[rank]) - np.float64(drawn[rank])
            total += weight[z] * (max(-t, 0.0) + math.log1p(math.exp(-abs(t))))
    return total


@loop()
def derivatives(theta, incidence, origin, weight, form, cuts, score, first, second):
    """first, second [N] <- the loss derivatives at theta."""
    shared = theta, incidence, origin, weight, form, cuts, score, first, second
    on_cores(_derivatives, len(cuts) - 1, shared)


@part(fastmath=MATH)
def _derivatives(c, _, theta, incidence, origin, weight, form, cuts, score, first, second):
    (start, _, far), (rank, bias, _) = incidence, form
    for u in range(cuts[c], cuts[c + 1]):
        begin, end = start[u], start[u + 1]
        scores_of(score[begin:end], theta, u, far[begin:end], rank, bias)
        first[begin:end], second[begin:end] = 0, 0
        for z in range(begin, end):
            o = origin[z]
            if weight[z] != 0.0:
                d1, d2 = loss_derivatives(score[o] - score[z], 1.0, weight[z], 0)
                first[o] += d1
                first[z] -= d1
                second[o] += d2
                second[z] += d2


@loop()
def product(theta, x, incidence, origin, derivatives, form, cuts, of_items, ridge, along, curved, out):
    """out [R, K] <- H x."""
    shared = theta, x, incidence, origin, derivatives, form, cuts, of_items, ridge, along, curved, out
    on_cores(_product, len(cuts) - 1, shared)
    on_cores(sum_items, cores(of_items.shape[1]), (x, ridge, of_items, out))


@part(fastmath=MATH)
def _product(c, _, theta, x, incidence, origin, derivatives, form, cuts, of_items, ridge, along, curved, out):
    (start, _, far), (first, second), (rank, bias, _) = incidence, derivatives, form
    users = cuts[-1]
    mine = of_items[c]
    mine[:] = 0
    for u in range(cuts[c], cuts[c + 1]):
        for k in range(theta.shape[1]):
            out[u, k] = ridge[u] * x[u, k]
        begin, end = start[u], start[u + 1]
        changes_of_score(along[begin:end], theta, theta, x, u, far[begin:end], rank, bias)
        curved[begin:end] = 0
        for z in range(begin, end):
            o = origin[z]
            if o != z:
                bend = second[z] * (along[o] - along[z])
                curved[o] += bend
                curved[z] -= bend
        bent, slope = curved[begin:end], first[begin:end]
        add_products(out, mine, users, bent, theta, slope, x, u, far[begin:end], rank, bias)


@loop()
def advance(step, incidence, origin, weight, form, cuts, of_items, ridge, score, change, first, second, gradient):
    """first, second [N] and gradient [R, K] <- loss derivatives and ∇L where a step leads. Returns the change of L."""
    total = summed_on_cores(change_of_penalty, cores(len(ridge)), (step, ridge))
    shared = step, incidence, origin, weight, form, cuts, of_items, ridge, score, change, first, second, gradient
    total += summed_on_cores(_advance, len(cuts) - 1, shared)
    on_cores(sum_items, cores(of_items.shape[1]), (step.new, ridge, of_items, gradient))
    return total


@part(fastmath=MATH)
def _advance(
    c, _, step, incidence, origin, weight, form, cuts, of_items, ridge, score, change, first, second, gradient
):
    (theta, x, new), (start, _, far), (rank, bias, _) = step, incidence, form
    users, total = cuts[-1], 0.0
    mine = of_items[c]
    mine[:] = 0
    for u in range(cuts[c], cuts[c + 1]):
        for k in range(theta.shape[1]):
            gradient[u, k] = ridge[u] * new[u, k]
        begin, end = start[u], start[u + 1]
        scores_of(score[begin:end], new, u, far[begin:end], rank, bias)
        changes_of_score(change[begin:end], theta, new, x, u, far[begin:end], rank, bias)
        first[begin:end], second[begin:end] = 0, 0
        for z in range(begin, end):
            o = origin[z]
            if weight[z] != 0.0:
                t, delta = score[o] - score[z], change[o] - change[z]
                one = type(t)(1)
                d1, d2 = loss_derivatives(t, one, weight[z], 0)
                total += change_of_loss(t, delta, one, d1, d2, weight[z], 0)
                first[o] += d1
                first[z] -= d1
                second[o] += d2
                second[z] += d2
        add_gradients(gradient, mine, users, first[begin:end], new, u, far[begin:end], rank, bias)
    return total


@loop()
def user_blocks(theta, rows, incidence, origin, second, ridge, form, out):
    """out [S·K, K] <- Gauss-Newton diagonal blocks of users [S]: Σ ℓ''·dd^T + ridge·I, d = q_positive − q_negative."""
    on_cores(_user_blocks, cores(len(rows)), (theta, rows, incidence, origin, second, ridge, form, out))


@part(fastmath=MATH)
def _user_blocks(c, parts, theta, rows, incidence, origin, second, ridge, form, out):
    (start, _, far), (rank, _, _), width = incidence, form, theta.shape[1]
    factors, scales, sums = scratch(width, theta)
    one = theta.dtype.type(1)
    for m in range(c * len(rows) // parts, (c + 1) * len(rows) // parts):
        e, count = rows[m], 0
        for z in range(start[e], start[e + 1]):
            o, d2 = origin[z], second[z]
            if o == z or d2 == 0.0:
                continue
            copy(factors, count, theta, far[o], rank)
            add(factors, count, -one, theta, far[z], rank)
            scales[count] = d2
            count += 1
            if count == AT_ONCE:
                add_rows(factors, scales, count, width, sums)
                count = 0
        add_rows(factors, scales, count, width, sums)
        write_block(sums, width, ridge[e], out, m * width)


@loop(fastmath=MATH)
def user_factors(theta, interactions, item, origin, second, form, out):
    """out [Z, K] <- √ℓ''·d of listed interactions [Z] in users' blocks, zero for positives; item as in `value`."""
    rank, _, _ = form
    out[:] = 0
    for m in range(len(interactions)):
        z = interactions[m]
        if origin[z] != z and second[z] != 0.0:
            root, liked, drawn = math.sqrt(second[z]), theta[item[origin[z]]], theta[item[z]]
            for k in range(rank):
                out[m, k] = root * (liked[k] - drawn[k])
