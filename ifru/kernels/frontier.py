"""Compiled loops over the rows of highest decrement, and over the active rows of a push (numba, CPU).

Axes: R rows (users first), S listed rows. listed [R]: the active rows of a side from its first row on, so many as
`counts` [2] says, in the order in which they became active.
"""

from __future__ import annotations

from ifru.kernels.cores import loop
from ifru.kernels.row_vectors import NEAR, fetch


@loop()
def dense(decrements, ridge, listed, counts, users, side, within, least, out):
    """out <- rows of a side, in any order, whose decrement per interaction is `within` the best of both sides at least.

    Returns how many they are. least: of their decrement per interaction.
    """
    best = 0.0
    for each in range(2):
        first = each * users
        for place in range(first, first + counts[each]):
            fetch(listed, place + NEAR, first + counts[each], decrements, ridge)
            e = listed[place]
            best = max(best, decrements[e] / ridge[e])
    bound, found, first = max(within * best, least), 0, side * users
    for place in range(first, first + counts[side]):
        e = listed[place]
        if decrements[e] / ridge[e] >= bound:
            out[found] = e
            found += 1
    return found


@loop()
def above(decrements, ridge, allowed, out):
    """out <- rows [S], ascending, whose decrement is more than their share, by ridge, of what is allowed.

    Returns how many they are, and the sum of the other decrements.
    """
    total = 0.0
    for e in range(len(ridge)):
        total += ridge[e]
    each = allowed / total if total > 0 else 0.0
    found, others = 0, 0.0
    for e in range(len(decrements)):
        if decrements[e] > each * ridge[e]:
            out[found] = e
            found += 1
        else:
            others += decrements[e]
    return found, others


@loop()
def activate(rows, penalised, scale, users, active, decrements, listed, counts):
    """Rows [S] are active from now on, of decrement scale·penalised [S]; returns by how much the sum of all grows."""
    grown = 0.0
    for m in range(len(rows)):
        fetch(rows, m + NEAR, len(rows), decrements, active)
        e = rows[m]
        new = scale * penalised[m]
        grown += new - decrements[e]
        decrements[e] = new
        if not active[e]:
            active[e] = True
            side = 1 if e >= users else 0
            listed[side * users + counts[side]] = e
            counts[side] += 1
    return grown
