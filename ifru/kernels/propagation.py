"""Compiled propagation of rows along the edges of a graph (numba, CPU).

Axes: R rows, E ends of edges (two an edge), S listed rows, M ends of edges that go, H hops, K columns of a row, C parts
of a list. far [E]: the neighbours of row e are those from start[e] to before start[e] + degree[e], ascending, each as
often as there are edges.
"""

from __future__ import annotations

import numpy as np

from ifru.kernels.cores import loop, on_cores, part
from ifru.kernels.row_vectors import combine
from ifru.kernels.score import MATH


@loop()
def layer(rows, cuts, start, degree, far, scale, x, carried, share, out):
    """out[e] <- share·(x[e] + Σ_f scale[e]·scale[f]·carried[f]) over the neighbours f of listed rows e; others stay.

    rows [S]; cuts [C + 1]: the places in it where parts begin, and its end. scale [R]; x, carried, out [R, K].
    """
    shared = rows, cuts, start, degree, far, scale, x, carried, share, out
    on_cores(_layer, len(cuts) - 1, shared)


@part(fastmath=MATH)
def _layer(c, _, rows, cuts, start, degree, far, scale, x, carried, share, out):
    width = x.shape[1]
    for m in range(cuts[c], cuts[c + 1]):
        e = rows[m]
        combine(out, e, carried, far, scale, start[e], start[e] + degree[e], width)
        for k in range(width):
            out[e, k] = share * (x[e, k] + scale[e] * out[e, k])


@loop()
def drop(start, degree, far, rows, others):
    """Take one edge each from listed rows [M] to the rows at their far ends [M] out of the lists of the former."""
    for m in range(len(rows)):
        e = rows[m]
        end = start[e] + degree[e]
        place = start[e] + np.searchsorted(far[start[e] : end], others[m])
        for j in range(place, end - 1):
            far[j] = far[j + 1]
        degree[e] -= 1


@loop()
def reach(start, degree, far, most, listed, counts, seen):
    """Append to the first counts[0] of listed [R] the rows within H hops of them; counts [H + 1] <- after each hop.

    seen [R]: the rows that are listed, false elsewhere. Returns whether the ends of edges that were read, those of
    the rows of the last hop among them, are no more than `most`; ends as soon as they are.
    """
    begin, count, read = 0, counts[0], 0
    for hop in range(len(counts)):
        counts[hop] = count
        end = count
        for m in range(begin, end):
            e = listed[m]
            read += degree[e]
            if read > most:
                return False
            if hop + 1 == len(counts):
                continue
            for j in range(start[e], start[e] + degree[e]):
                if not seen[far[j]]:
                    seen[far[j]] = True
                    listed[count] = far[j]
                    count += 1
        begin = end
    return True
