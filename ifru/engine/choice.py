"""Predicted work of the ways to answer a batch: what `auto` chooses by.

The unit is one interaction, read by one product with the Hessian; a row of K columns then costs K/3 to precondition.
The rates were measured on MovieLens 100K and 1M, one thread; see `docs/engine.md`. Axes: S rows of a support, T touched
rows.
"""

from __future__ import annotations

import math

from torch import Tensor

from ifru.engine.state import State, incident

_CARRY_OVER = 3.0
"""Reading an interaction where it was moved: its slopes are computed anew, and the debt of both ends."""

_PUSHED = 4.0
"""The same in a push, which also keeps account of its rows."""

_COUPLED = 1.5
"""Reading an interaction inside a support, whose rows lie scattered."""

_CALL = 1e6
"""Interactions of one column that are read while one step of a push is set up; a solve sets up as much once."""


def of_all_rows(state: State, tolerance: float) -> float:
    """Newton-PCG on all rows, settled."""
    retained = state.objective.interactions.retained
    rows = len(state.rows) * _per_row(state)
    return _set_up(state) + _iterations(tolerance) * (retained + rows) + _CARRY_OVER * retained + rows


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
    """A push from touched rows [T], settled. What it reads grows with the square of the tolerance asked."""
    start = incident(state.objective, touched)
    half_steps = 2 * _iterations(tolerance)
    return half_steps * _set_up(state) + _PUSHED * 0.02 * start / tolerance**2 + _settling(state, start)


def _settling(state: State, interactions: float) -> float:
    return _CARRY_OVER * interactions + min(interactions, len(state.rows)) * _per_row(state)


def _iterations(tolerance: float) -> float:
    """Of PCG with these preconditioners, to a tolerance."""
    return 2 / math.sqrt(tolerance)


def _per_row(state: State) -> float:
    return state.theta.shape[1] / 3


def _set_up(state: State) -> float:
    return _CALL / state.theta.shape[1]
