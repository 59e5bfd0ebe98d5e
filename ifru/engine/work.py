"""Predicted work of the ways to answer a batch: what `auto` chooses by.

The unit is one interaction, read by one product with the Hessian; a row of K columns then costs K/3 to precondition.
The rates were measured on MovieLens 100K and 1M, two cores; see `docs/engine.md`. Axes: S rows of a support, T touched
rows.
"""

from __future__ import annotations

import math

from torch import Tensor

from ifru.engine.state import State, incident

_ADVANCED = 3.0
"""Reading an interaction at the end of a step on all rows: its slopes, and what they add to the gradient."""

_SETTLED = 8.0
"""Reading an interaction of moved rows, which lie scattered, with the blocks that are built anew for it."""

_PUSHED = 8.0
"""The same in a push, which is settled only once."""

_PUSHES = 0.01
"""A push to a tolerance t reads the interactions of the touched rows about 0.01/t³ times."""

_COUPLED = 1.5
"""Reading an interaction inside a support, whose rows lie scattered."""

_CALL = 1e6
"""Interactions of one column that are read while one step of a push is set up; a solve sets up as much once."""


def of_all_rows(state: State, tolerance: float) -> float:
    """Newton-PCG on all rows, settled. With one side eliminated it takes half as many products, and one more."""
    retained = state.objective.interactions.retained
    rows = len(state.rows) * _per_row(state)
    products = 1 + _iterations(tolerance) / 2
    return _set_up(state) + products * (retained + rows) + _ADVANCED * retained + rows


def of_support(state: State, rows: Tensor, tolerance: float) -> float:
    """PCG on a support [S], ascending, settled; what is inside is estimated as if interactions were random."""
    retained = state.objective.interactions.retained
    users = rows[rows < state.objective.interactions.users]
    of_users = incident(state.objective, users)
    of_all = incident(state.objective, rows)
    inside = of_users * (of_all - of_users) / max(retained, 1)
    once = _COUPLED * inside + len(rows) * _per_row(state)
    return _set_up(state) + of_users + _iterations(tolerance) * once + _settling(state, of_all)


def of_push(state: State, touched: Tensor, tolerance: float) -> float:
    """A push from touched rows [T], settled."""
    start = incident(state.objective, touched)
    half_steps = 2 * _iterations(tolerance)
    return half_steps * _set_up(state) + _PUSHED * _PUSHES * start / tolerance**3 + _settling(state, start)


def _settling(state: State, interactions: float) -> float:
    return _SETTLED * interactions + min(interactions, len(state.rows)) * _per_row(state)


def _iterations(tolerance: float) -> float:
    """Of PCG with these preconditioners, to a tolerance."""
    return 2 / math.sqrt(tolerance)


def _per_row(state: State) -> float:
    return state.point.theta.shape[1] / 3


def _set_up(state: State) -> float:
    return _CALL / state.point.theta.shape[1]
