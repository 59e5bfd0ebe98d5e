"""Compiled loops over the interactions of listed rows: what they cost depends on those rows alone.

Axes and arguments as in `ifru.kernels.bilinear`; Z interactions with both ends in a support of S rows, of which A are
users, which come first. cuts [C + 1] are far rows here, the first of each part and the end: no two cores write to one.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ifru.interactions.table import Bool, Int64
from ifru.kernels.bilinear import sum_parts
from ifru.kernels.cores import counted_on_cores, loop, on_cores, part
from ifru.kernels.row_vectors import FAR, NEAR, dot, fetch
from ifru.kernels.score import (
    MATH,
    Floats,
    add_change,
    add_gradient,
    add_product,
    between,
    loss_derivatives,
    score_of,
    tangent,
)


@loop()
def coupling(users, incidence, place, weight, start, order, far):
    """start [A + 1], order, far [Z] <- retained interactions of `users` [A] whose item is in the support.

    place [R] is where a row stands in the support, -1 elsewhere; far tells that of the item. Returns Z.
    """
    found = 0
    start[0] = 0
    for m in range(len(users)):
        u = users[m]
        for z in range(incidence.start[u], incidence.start[u + 1]):
            there = place[incidence.far[z]]
            if there >= 0 and weight[z] != 0.0:
                order[found] = z
                far[found] = there
                found += 1
        start[m + 1] = found
    return found


@loop()
def coupling_product(theta, x, start, far, first, second, form, cuts, of_items, out):
    """out [S, K] <- the off-diagonal part of H_SS x, of what `coupling` found. theta [S, K]; first, second [Z]."""
    shared = theta, x, start, far, first, second, form, cuts, of_items, out
    on_cores(_coupling_product, len(cuts) - 1, shared)
    on_cores(sum_parts, len(cuts) - 1, (of_items, out[cuts[-1] :]))


@part(fastmath=MATH)
def _coupling_product(c, _, theta, x, start, far, first, second, form, cuts, of_items, out):
    (rank, bias, _), users = form, cuts[-1]
    mine = of_items[c]
    mine[:] = 0
    for u in range(cuts[c], cuts[c + 1]):
        out[u] = 0
        for z in range(start[u], start[u + 1]):
            i, d1, d2 = far[z], first[z], second[z]
            to_user, to_item = tangent(theta, u, x, i, rank, bias), tangent(theta, i, x, u, rank, bias)
            add_product(out, u, d2 * to_user, theta, i, d1, x, i, rank, bias)
            add_product(mine, i - users, d2 * to_item, theta, u, d1, x, u, rank, bias)


@loop()
def update(cuts, move, incidence, skip, terms, form, first, second, gradient):
    """Carry the move of one side's rows into the loss derivatives and into the gradient of their neighbours.

    skip [R] marks far rows whose interactions were carried over from their own side. Returns interactions read.
    """
    shared = cuts, move, incidence, skip, terms, form, first, second, gradient
    return counted_on_cores(_update, len(cuts) - 1, shared)


@part(fastmath=MATH)
def _update(c, _, cuts, move, incidence, skip, terms, form, first, second, gradient):
    (rows, before, theta), (start, order, far) = move, incidence
    (label, weight), (rank, bias, loss), read = terms, form, 0
    for m in range(len(rows)):
        e = rows[m]
        begin, end = between(far, start[e], start[e + 1], cuts[c], cuts[c + 1])
        for j in range(begin, end):
            fetch(order, j + FAR, end, label, first)
            fetch(far, j + NEAR, end, theta, gradient, skip)
            z, f = order[j], far[j]
            if weight[z] == 0.0 or skip[f]:
                continue
            read += 1
            old, score = first[z], score_of(theta, e, f, rank, bias)
            first[z], second[z] = loss_derivatives(score, label[z], weight[z], loss)
            add_change(gradient, f, first[z], theta, e, old, before, m, rank, bias)
    return read


class Reached(NamedTuple):
    """What `update_side` tells of far rows, one part after the other, and scratch that is clean before and after.

    cuts [C + 1]: the first far row of each part, and the end. rows, penalised [R]: those whose gradient g changed, each
    once, and their ‖g‖²/ridge; part c begins at place cuts[c] − cuts[0]. marked [R]: scratch. own [C, S, K]: the moved
    rows' data term of the gradient that comes from a part. gains [C, S]: what a step of length 1 adds to it at most;
    infinite for moved rows of less than a heavy ridge. counts [C, 2]: far rows, and interactions read.
    """

    cuts: Int64
    rows: Int64
    penalised: NDArray[np.float64]
    marked: Bool
    own: Floats
    gains: Floats
    counts: Int64


@loop()
def update_side(move, incidence, terms, form, derivatives, ridge, heavy, gradient, out):
    """`update` where rows of one side alone have moved. heavy: the least ridge [R] of rows whose gains are measured."""
    shared = move, incidence, terms, form, derivatives, ridge, heavy, gradient, out
    on_cores(_update_side, len(out.cuts) - 1, shared)


@part(fastmath=MATH)
def _update_side(c, _, move, incidence, terms, form, derivatives, ridge, heavy, gradient, out):
    (rows, before, theta), (start, order, far), (label, weight) = move, incidence, terms
    (rank, bias, loss), (first, second), marked = form, derivatives, out.marked
    own, gains, least, most, found, read = out.own[c], out.gains[c], out.cuts[c], out.cuts[c + 1], 0, 0
    own[:] = 0
    reached, penalised = out.rows[least - out.cuts[0] :], out.penalised[least - out.cuts[0] :]
    for m in range(len(rows)):
        e = rows[m]
        measured = ridge[e] >= heavy
        gain, length = 0.0, dot(theta, e, theta, e, rank) + bias
        begin, end = between(far, start[e], start[e + 1], least, most)
        for j in range(begin, end):
            fetch(order, j + FAR, end, label, first)
            fetch(far, j + NEAR, end, theta, gradient, ridge, marked)
            z, f = order[j], far[j]
            if weight[z] == 0.0:
                continue
            read += 1
            if not marked[f]:
                marked[f] = True
                reached[found] = f
                found += 1
            old, score = first[z], score_of(theta, e, f, rank, bias)
            d1, d2 = loss_derivatives(score, label[z], weight[z], loss)
            first[z], second[z] = d1, d2
            add_gradient(own, m, first[z], theta, f, rank, bias)
            add_change(gradient, f, first[z], theta, e, old, before, m, rank, bias)
            if measured:
                change = abs(d1) + d2 * math.sqrt(length * (dot(theta, f, theta, f, rank) + bias))
                gain += change * change / ridge[f]
        gains[m] = gain if measured else math.inf
    _penalised(reached[:found], gradient, ridge, marked, penalised)
    out.counts[c, 0], out.counts[c, 1] = found, read


@part(fastmath=MATH)
def _penalised(reached, gradient, ridge, marked, out):
    """out <- ‖g‖²/ridge of reached rows, whose marks are cleaned."""
    for m in range(len(reached)):
        fetch(reached, m + NEAR, len(reached), gradient, ridge, marked)
        f = reached[m]
        out[m] = dot(gradient, f, gradient, f, gradient.shape[1]) / ridge[f]
        marked[f] = False


@loop()
def gradient_along(cuts, theta, rows, step, incidence, derivatives, form, added, reached):
    """added [R, K] += what a step [S, K] of one side's rows does to the gradient of their neighbours.

    reached [R] <- true for these. Returns interactions read.
    """
    shared = cuts, theta, rows, step, incidence, derivatives, form, added, reached
    return counted_on_cores(_gradient_along, len(cuts) - 1, shared)


@part(fastmath=MATH)
def _gradient_along(c, _, cuts, theta, rows, step, incidence, derivatives, form, added, reached):
    (start, order, far), (first, second), (rank, bias, _), read = incidence, derivatives, form, 0
    for m in range(len(rows)):
        e = rows[m]
        begin, end = between(far, start[e], start[e + 1], cuts[c], cuts[c + 1])
        for j in range(begin, end):
            fetch(order, j + FAR, end, first)
            fetch(far, j + NEAR, end, theta, added, reached)
            z, f = order[j], far[j]
            if first[z] == 0.0 and second[z] == 0.0:
                continue
            read += 1
            reached[f] = True
            curved = second[z] * tangent(theta, f, step, m, rank, bias)
            add_product(added, f, curved, theta, e, first[z], step, m, rank, bias)
    return read


@loop(fastmath=MATH)
def factors(theta, interactions, other, second, form, out):
    """out [Z, K] <- √(w·ℓ'')·J of listed interactions [Z], in the blocks of the rows that `other` is the far end of."""
    rank, bias, _ = form
    for m in range(len(interactions)):
        z = interactions[m]
        root = math.sqrt(second[z])
        for k in range(rank):
            out[m, k] = root * theta[other[z], k]
        if bias:
            out[m, rank] = root


@loop()
def neighbours(rows, incidence, place, met, reached):
    """Count for both ends the interactions of rows [S] in met [R], and mark the far ends in reached [R].

    Those with a user whose place [R] is not negative are passed over: they are met from there.
    """
    start, _, far = incidence
    for m in range(len(rows)):
        e = rows[m]
        end = start[e + 1]
        for j in range(start[e], end):
            fetch(far, j + NEAR, end, met, reached)
            f = far[j]
            if place[f] >= 0:
                continue
            met[e] += 1
            met[f] += 1
            reached[f] = True
