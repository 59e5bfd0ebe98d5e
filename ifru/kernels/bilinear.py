"""Compiled sums over all interactions, for models whose score is a dot product of rows (numba, CPU).

Axes: N interactions, grouped by user; U users, I items, R = U + I rows (users first, then items), S listed rows, K
columns of a row, C parts of users, Z listed interactions.

One pass serves both sides: a part of the users sums what it does to the items into a table of its own, of_items
[C, I, K], which is scratch. cuts [C + 1]: the first user of each part, and U.
"""

from __future__ import annotations

import math

import numpy as np

from ifru.kernels.cores import cores, loop, on_cores, part, share, summed_on_cores
from ifru.kernels.held_rows import spread
from ifru.kernels.outer import AT_ONCE, add_rows, scratch, write_block
from ifru.kernels.row_vectors import FAR, NEAR, add, add_two, copy, dot, fetch
from ifru.kernels.score import (
    FLAT,
    MATH,
    QUADRATIC,
    add_gradient,
    add_gradients,
    add_product,
    add_products,
    change_of_loss,
    changes_of_score,
    loss_derivatives,
    score_of,
    scores_of,
    tangent,
)

_CHUNK = 64
"""Interactions of a user that are gone over twice, so that the rows at their far ends stay in the nearest cache."""


@loop()
def value(theta, user, item, terms, form):
    """Σ w·ℓ(s), in float64 throughout. item [N] holds row numbers, U already added."""
    return summed_on_cores(_value, cores(len(user)), (theta, user, item, terms, form))


@part(fastmath=MATH)
def _value(c, parts, theta, user, item, terms, form):
    (label, weight), (rank, bias, loss), total = terms, form, 0.0
    begin, end = share(c, parts, len(user))
    for z in range(begin, end):
        if weight[z] != 0.0:
            p, q, score = theta[user[z]], theta[item[z]], 0.0
            for k in range(rank):
                score += np.float64(p[k]) * np.float64(q[k])
            if bias:
                score += np.float64(p[rank]) + np.float64(q[rank])
            if loss == 0:
                total += weight[z] * (max(score, 0.0) + math.log1p(math.exp(-abs(score))) - label[z] * score)
            elif loss == 1:
                total += weight[z] * 0.5 * (score - label[z]) ** 2
            else:
                total += (0.5 * weight[z] * score - label[z]) * score
    return total


@loop()
def derivatives(theta, user, item, terms, form, first, second):
    """first, second [N] <- the loss derivatives at theta. item: as in `value`."""
    on_cores(_derivatives, cores(len(user)), (theta, user, item, terms, form, first, second))


@part(fastmath=MATH)
def _derivatives(c, parts, theta, user, item, terms, form, first, second):
    (label, weight), (rank, bias, loss) = terms, form
    begin, end = share(c, parts, len(user))
    for z in range(begin, end):
        score = score_of(theta, user[z], item[z], rank, bias)
        first[z], second[z] = loss_derivatives(score, label[z], weight[z], loss)


@loop()
def gradient_of(theta, rows, incidence, first, ridge, form, out):
    """out [S, K] <- gradient of L in rows [S]. first [N]; ridge [R] = λ·degree."""
    on_cores(_gradient_of, cores(len(rows)), (theta, rows, incidence, first, ridge, form, out))


@part(fastmath=MATH)
def _gradient_of(c, parts, theta, rows, incidence, first, ridge, form, out):
    (start, order, far), (rank, bias, _) = incidence, form
    for m in range(c * len(rows) // parts, (c + 1) * len(rows) // parts):
        e = rows[m]
        for k in range(theta.shape[1]):
            out[m, k] = ridge[e] * theta[e, k]
        end = start[e + 1]
        for j in range(start[e], end):
            fetch(order, j + FAR, end, first)
            fetch(far, j + NEAR, end, theta)
            d1 = first[order[j]]
            if d1 != 0.0:
                add_gradient(out, m, d1, theta, far[j], rank, bias)


@loop()
def product(theta, x, incidence, derivatives, form, cuts, of_items, ridge, out):
    """out [R, K] <- H x."""
    shared = theta, x, incidence, derivatives, form, cuts, of_items, ridge, out
    on_cores(_product, len(cuts) - 1, shared)
    on_cores(sum_items, cores(of_items.shape[1]), (x, ridge, of_items, out))


@part(fastmath=MATH)
def _product(c, _, theta, x, incidence, derivatives, form, cuts, of_items, ridge, out):
    (start, _, far), (first, second), (rank, bias, _) = incidence, derivatives, form
    users, mine, curved = cuts[-1], of_items[c], np.empty(_CHUNK, theta.dtype)
    mine[:] = 0
    for u in range(cuts[c], cuts[c + 1]):
        for k in range(theta.shape[1]):
            out[u, k] = ridge[u] * x[u, k]
        for begin in range(start[u], start[u + 1], _CHUNK):
            end = min(begin + _CHUNK, start[u + 1])
            there, slope, change = far[begin:end], first[begin:end], curved[: end - begin]
            if _is_flat(second, begin, end):
                spread(out, mine, users, there, u, rank, slope, x)
                continue
            changes_of_score(change, theta, theta, x, u, there, rank, bias)
            for z in range(begin, end):
                change[z - begin] *= second[z]
            add_products(out, mine, users, change, theta, slope, x, u, there, rank, bias)


@part(inline="always")
def _is_flat(second, begin, end):
    """Whether interactions have no second derivatives, or next to none."""
    flat = True
    for z in range(begin, end):
        flat &= abs(second[z]) < FLAT
    return flat


@loop()
def cross_to_users(theta, x, incidence, derivatives, form, cuts, out):
    """out [U, K] <- what items' x [I, K] does to the users by the off-diagonal part of H."""
    on_cores(_cross_to_users, len(cuts) - 1, (theta, x, incidence, derivatives, form, cuts, out))


@part(fastmath=MATH)
def _cross_to_users(c, _, theta, x, incidence, derivatives, form, cuts, out):
    (start, _, far), (first, second), (rank, bias, _) = incidence, derivatives, form
    users = cuts[-1]
    for u in range(cuts[c], cuts[c + 1]):
        out[u] = 0
        for z in range(start[u], start[u + 1]):
            i, d1 = far[z], first[z]
            if abs(second[z]) < FLAT:
                add(out, u, d1, x, i - users, rank)
                continue
            curved = second[z] * tangent(theta, u, x, i - users, rank, bias)
            add_product(out, u, curved, theta, i, d1, x, i - users, rank, bias)


@loop()
def cross_to_items(theta, x, incidence, derivatives, form, cuts, of_items, out):
    """out [I, K] <- what users' x [U, K] does to the items by the same."""
    on_cores(_cross_to_items, len(cuts) - 1, (theta, x, incidence, derivatives, form, cuts, of_items))
    on_cores(sum_parts, cores(len(out)), (of_items, out))


@part(fastmath=MATH)
def _cross_to_items(c, _, theta, x, incidence, derivatives, form, cuts, of_items):
    (start, _, far), (first, second), (rank, bias, _) = incidence, derivatives, form
    users = cuts[-1]
    mine = of_items[c]
    mine[:] = 0
    for u in range(cuts[c], cuts[c + 1]):
        for z in range(start[u], start[u + 1]):
            i, d1 = far[z], first[z]
            if abs(second[z]) < FLAT:
                add(mine, i - users, d1, x, u, rank)
                continue
            curved = second[z] * tangent(theta, i, x, u, rank, bias)
            add_product(mine, i - users, curved, theta, u, d1, x, u, rank, bias)


@loop()
def advance(step, incidence, terms, form, cuts, of_items, ridge, first, second, gradient):
    """first, second [N] and gradient [R, K] <- loss derivatives and ∇L where a step leads. Returns the change of L."""
    total = summed_on_cores(change_of_penalty, cores(len(ridge)), (step, ridge))
    shared = step, incidence, terms, form, cuts, of_items, ridge, first, second, gradient
    total += summed_on_cores(_advance, len(cuts) - 1, shared)
    on_cores(sum_items, cores(of_items.shape[1]), (step.new, ridge, of_items, gradient))
    return total


@part(fastmath=MATH)
def _advance(c, _, step, incidence, terms, form, cuts, of_items, ridge, first, second, gradient):
    (theta, x, new), (start, _, far), (label, weight), (rank, bias, loss) = step, incidence, terms, form
    users, mine, total = cuts[-1], of_items[c], 0.0
    met, straight = np.empty((2, _CHUNK), theta.dtype), np.empty((2, theta.shape[1]), theta.dtype)
    mine[:] = 0
    for u in range(cuts[c], cuts[c + 1]):
        straight[:] = 0
        for k in range(theta.shape[1]):
            gradient[u, k] = ridge[u] * new[u, k]
        for begin in range(start[u], start[u + 1], _CHUNK):
            end = min(begin + _CHUNK, start[u + 1])
            if loss == QUADRATIC and _is_flat(weight, begin, end):
                # Linear in the score: Σ d1·δ = x_u·Σ d1·q + p'_u·Σ d1·x_i, so that no score is needed.
                for z in range(begin, end):
                    i, d1 = far[z], label[z] * (0 if weight[z] == 0.0 else -1)
                    first[z], second[z] = d1, weight[z]
                    add(straight, 0, d1, theta, i, rank)
                    add(straight, 1, d1, x, i, rank)
                    add(mine, i - users, d1, new, u, rank)
                continue
            there, score, change = far[begin:end], met[0, : end - begin], met[1, : end - begin]
            scores_of(score, new, u, there, rank, bias)
            changes_of_score(change, theta, new, x, u, there, rank, bias)
            for z in range(begin, end):
                s, delta = score[z - begin], change[z - begin]
                first[z], second[z] = loss_derivatives(s, label[z], weight[z], loss)
                if weight[z] != 0.0:
                    total += change_of_loss(s, delta, label[z], first[z], second[z], weight[z], loss)
            add_gradients(gradient, mine, users, first[begin:end], new, u, there, rank, bias)
        total += dot(x, u, straight, 0, rank) + dot(new, u, straight, 1, rank)
        add_two(gradient, u, 1, straight, 0, 1, straight, 1, rank)
    return total


@part(fastmath=MATH)
def change_of_penalty(c, parts, step, ridge):
    """½Σ ridge·(‖new‖² − ‖theta‖²), over one part of all rows."""
    (theta, x, new), total = step, 0.0
    for e in range(c * len(theta) // parts, (c + 1) * len(theta) // parts):
        penalty = 0.0
        for k in range(theta.shape[1]):
            penalty += np.float64(x[e, k]) * (np.float64(theta[e, k]) + np.float64(new[e, k]))
        total += 0.5 * ridge[e] * penalty
    return total


@part(fastmath=MATH)
def sum_items(c, parts, x, ridge, of_items, out):
    """Item rows of out [R, K], of them one part, <- ridge·x + Σ_c of_items [C, I, K]."""
    users, items = len(x) - of_items.shape[1], of_items.shape[1]
    for m in range(c * items // parts, (c + 1) * items // parts):
        for k in range(x.shape[1]):
            total = ridge[users + m] * x[users + m, k]
            for each in range(len(of_items)):
                total += of_items[each, m, k]
            out[users + m, k] = total


@part(fastmath=MATH)
def sum_parts(c, parts, of_items, out):
    """out [I, K], of it one part, <- Σ_c of_items [C, I, K]."""
    for m in range(c * len(out) // parts, (c + 1) * len(out) // parts):
        for k in range(out.shape[1]):
            total = of_items[0, m, k]
            for each in range(1, len(of_items)):
                total += of_items[each, m, k]
            out[m, k] = total


@loop()
def blocks(theta, rows, incidence, second, ridge, form, out):
    """out [S·K, K] <- Gauss-Newton diagonal blocks of rows [S]. second [N]."""
    on_cores(_blocks, cores(len(rows)), (theta, rows, incidence, second, ridge, form, out))


@part(fastmath=MATH)
def _blocks(c, parts, theta, rows, incidence, second, ridge, form, out):
    (start, order, far), (rank, bias, _), width = incidence, form, theta.shape[1]
    factors, scales, sums = scratch(width, theta)
    for m in range(c * len(rows) // parts, (c + 1) * len(rows) // parts):
        e, count = rows[m], 0
        end = start[e + 1]
        for j in range(start[e], end):
            fetch(order, j + FAR, end, second)
            fetch(far, j + NEAR, end, theta)
            f, d2 = far[j], second[order[j]]
            if abs(d2) < FLAT:
                continue
            copy(factors, count, theta, f, rank)
            if bias:
                factors[count, rank] = 1
            scales[count] = d2
            count += 1
            if count == AT_ONCE:
                add_rows(factors, scales, count, width, sums)
                count = 0
        add_rows(factors, scales, count, width, sums)
        write_block(sums, width, ridge[e], out, m * width)


@loop(fastmath=MATH)
def contribution(theta, interactions, user, item, place, first, l2, form, out):
    """out [S, K] <- the part of ∇L that is due to interactions [Z], penalty included; place [R]: where a row stands."""
    rank, bias, _ = form
    out[:] = 0
    for m in range(len(interactions)):
        z = interactions[m]
        u, i, d1 = user[z], item[z], first[z]
        for e, f in ((u, i), (i, u)):
            add_two(out, place[e], d1, theta, f, l2, theta, e, rank)
            if bias:
                out[place[e], rank] += d1 + l2 * theta[e, rank]
