"""The first answer of a model that answers by a response: one step of the touched rows' own blocks, without a product.

It reads the deleted interactions alone, so what it costs does not depend on the size of the data. Users are coupled
with items only, so that the step of both together leaves less than there was (of H + damping, M⁻¹H is between 0 and 2).
Shared weights are coupled with everything and wait. What the step sets off in other rows is found when the debt is
settled, after the answer is out, and is paid off in idle time, with what waits. How much it leaves of the debt on the
rows it moves is predicted by what the step before it left there; of the first one nothing is known but that it is no
more than there was.
"""

from __future__ import annotations

from torch import Tensor

from ifru.engine.state import State


class BlockStep:
    """Block steps on a state, and what is known of how much they leave."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._share = 1.0
        self._open: tuple[float, float] | None = None

    def reaches(self, rows: Tensor) -> float:
        """The share of the debt that is on rows [S], shared ones aside."""
        state = self._state
        return float(state.decrements[self._own(rows)].sum()) / max(state.total_decrement, 1e-300)

    def run(self, rows: Tensor, scaled: Tensor) -> float:
        """Move rows [S], ascending, by −B⁻¹g, which is −scaled [S, K], shared ones aside.

        Returns the sum of the squared decrements that is predicted to be left.
        """
        state = self._state
        rows = self._own(rows)
        inside, before = float(state.decrements[rows].sum()), state.total_decrement
        state.move(rows, -scaled[: len(rows)])
        self._open = max(before - inside, 0.0), inside
        return max(before - (1 - self._share) * inside, 0.0)

    def learn(self) -> None:
        """Take up what the last step has left, once the debt is settled."""
        if self._open is None:
            return
        (outside, inside), self._open = self._open, None
        left = max(self._state.total_decrement - outside, 0.0)
        self._share = left / inside if inside > 0 else self._share

    def _own(self, rows: Tensor) -> Tensor:
        """Those of some rows that are a user's or an item's."""
        table = self._state.objective.interactions
        return rows[rows < table.users + table.items]
