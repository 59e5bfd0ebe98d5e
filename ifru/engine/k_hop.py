"""IFRU's importance-based pruning: the rows that matter most within k hops of what is deleted.

Zhang et al., *Recommendation Unlearning via Influence Function* (arXiv 2307.02147), section on importance-based
pruning, and the authors' code. The importance of a row is the share of its interactions that is deleted, spread along
the interactions k times:

    m₀ = removed/degree        m ← D⁻¹ A m        D: row sums of A

A is the adjacency of users and items before the deletion, with one loop at every row. The rows of highest importance
are kept. Their own step rule is not followed: they are solved for as any support is.

Axes: M deleted interactions, R = U + I rows (users first), S rows of the support.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ifru.interactions.table import Int64, Interactions, ranges


def importance(table: Interactions, deleted: Int64, hops: int) -> NDArray[np.float64]:
    """m [R] after some hops. deleted [M]: positions, retired already, that count as if they were there."""
    users, rows = table.users, table.users + table.items
    removed = np.bincount(np.concatenate([table.user[deleted], table.item[deleted] + users]), minlength=rows)
    degree = np.concatenate([table.user_degree, table.item_degree]) + removed + 1
    there = table.alive.copy()
    there[deleted] = True
    mass: NDArray[np.float64] = removed / degree
    for _ in range(hops):
        held = np.flatnonzero(mass)
        user, item = _from_rows(table, held, there)
        spread = mass + np.bincount(item, weights=mass[user], minlength=rows)
        spread += np.bincount(user, weights=mass[item], minlength=rows)
        mass = spread / degree
    return mass


def k_hop(table: Interactions, deleted: Int64, hops: int, share: float) -> Int64:
    """Rows [S], ascending, of the top share, in (0, 1], of importance among the rows that the hops reach.

    Rows that have no interactions left are not among them. Of equally important rows the first go first.
    """
    mass = importance(table, deleted, hops)
    mass[np.concatenate([table.user_degree, table.item_degree]) == 0] = 0
    reached = np.flatnonzero(mass)
    kept = math.ceil(share * len(reached))
    rows: Int64 = np.sort(reached[np.argsort(-mass[reached], kind="stable")[:kept]])
    return rows


def _from_rows(table: Interactions, held: Int64, there: NDArray[np.bool_]) -> tuple[Int64, Int64]:
    """Both ends, as rows, of the interactions with an end among rows `held`."""
    of_users, of_items = held[held < table.users], held[held >= table.users] - table.users
    by_user = ranges(table.user_start[of_users], table.user_start[of_users + 1])
    by_item = table.item_rows[ranges(table.item_start[of_items], table.item_start[of_items + 1])]
    found = np.union1d(by_user, by_item)
    found = found[there[found]]
    return table.user[found].astype(np.int64), table.item[found].astype(np.int64) + table.users
