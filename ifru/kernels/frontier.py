"""Compiled loops over the rows that owe most, and over the active rows of a push (numba, CPU).

Axes: R rows (users first), S listed rows. listed [R]: the active rows of a side from its first row on, so many as
`counts` [2] says, in the order in which they became active.
"""

from __future__ import annotations

from numba import njit

from ifru.kernels.row_vectors import NEAR, fetch


@njit(cache=True)
def dense(energy, ridge, listed, counts, users, side, within, least, out):
    """out <- rows of a side, ascending, whose energy per interaction is `within` the best of both sides at least.

    Returns how many they are. least: of their energy per interaction.
    """
    best = 0.0
    for each in range(2):
        first = each * users
        for place in range(first, first + counts[each]):
            if place + NEAR < first + counts[each]:
                fetch((energy, ridge), listed[place + NEAR])
            e = listed[place]
            best = max(best, energy[e] / ridge[e])
    bound, found, first = max(within * best, least), 0, side * users
    for place in range(first, first + counts[side]):
        e = listed[place]
        if energy[e] / ridge[e] >= bound:
            out[found] = e
            found += 1
    out[:found].sort()
    return found


@njit(cache=True)
def above(energy, ridge, allowed, out):
    """out <- rows [S], ascending, whose energy is more than their share, by ridge, of what is allowed.

    Returns how many they are, and the energy of the others.
    """
    total = 0.0
    for e in range(len(ridge)):
        total += ridge[e]
    each = allowed / total if total > 0 else 0.0
    found, others = 0, 0.0
    for e in range(len(energy)):
        if energy[e] > each * ridge[e]:
            out[found] = e
            found += 1
        else:
            others += energy[e]
    return found, others


@njit(cache=True)
def owe(rows, owed, scale, users, active, energy, listed, counts):
    """Rows [S] are active from now on, with the energies scale·owed [S]; returns by how much the sum of all grows."""
    grown = 0.0
    for m in range(len(rows)):
        if m + NEAR < len(rows):
            fetch((energy, active), rows[m + NEAR])
        e = rows[m]
        new = scale * owed[m]
        grown += new - energy[e]
        energy[e] = new
        if not active[e]:
            active[e] = True
            side = 1 if e >= users else 0
            listed[side * users + counts[side]] = e
            counts[side] += 1
    return grown
