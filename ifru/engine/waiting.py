"""Heavy rows that wait with their step: to pass it on would cost as many interactions as they have.

A step δ of row e changes its neighbours' debt by an energy of at most gain_e·‖δ‖², to first order, and the block step
is not longer than ‖r_e‖/ridge_e. So what a waiting row will pass on is bounded without being read. A row waits where
that bound is well below what it owes; the bound then stands for its energy, and once that is among the densest,
the row no longer waits.

Axes: S listed rows.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ifru.engine.state import State

HEAVY = 1024
"""A row with so many interactions may wait."""

_WORTH = 0.5
"""A row waits where its bound is at most this share of its energy."""


class Waiting:
    """The rows that wait, and what is known of every row's gain."""

    def __init__(self, state: State, heavy: int) -> None:
        """heavy: rows of at least so many interactions may wait."""
        self._state = state
        # As a ridge, which is in proportion to the number of interactions.
        self.heavy = heavy * state.objective.l2
        # Infinite until a row has been spread once: what is not known is not bounded.
        self._gains = torch.full_like(state.objective.ridge, math.inf)
        # Scratch over all rows, clean between pushes.
        self._waits = torch.zeros_like(state.rows, dtype=torch.bool)
        self._held: list[Tensor] = []

    def hold(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Which of the rows [S] that are to move wait from now on: a mask [S], and their bounds."""
        ridge = self._state.objective.ridge[rows]
        holds = ridge >= self.heavy
        if not bool(holds.any()):
            return holds, self._state.decrements[:0]
        energy = self._state.decrements[rows]
        bounds = self._gains[rows] * self._state.point.gradient[rows].square().sum(1) / ridge.square()
        holds &= ~self._waits[rows] & (bounds <= _WORTH * energy)
        self._held.append(rows[holds])
        self._waits[rows[holds]] = True
        return holds, bounds[holds].double()

    def spread(self, rows: Tensor, gains: Tensor, reached: Tensor) -> None:
        """Rows [S] have been spread, which told their gains [S] and reached others: none of these waits any more."""
        self._gains[rows] = gains
        if self._held:
            self._waits[rows] = self._waits[reached] = False

    def close(self) -> Tensor:
        """The rows that wait, ascending. None does afterwards."""
        held = torch.unique(torch.cat([self._state.rows[:0], *self._held]))
        waiting: Tensor = held[self._waits[held]]
        self._waits[waiting] = False
        self._held.clear()
        return waiting
