"""One linear solve for the debt, on a support.

    H_SS Δ_S = −r_S

On a support, H_SS is the cached diagonal blocks plus the coupling of the interactions inside it: neither the size
of the data nor the degree of a popular item enters the cost.

Axes: R rows, S rows of a support, K columns of a row.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ifru.engine.state import State
from ifru.pcg import Limits, Solution, solve


@dataclass(frozen=True)
class Solve:
    """A step [S, K] for rows [S], ascending, how it was found, and the interactions read for it."""

    rows: Tensor
    solution: Solution
    interactions_read: int


def on_support(state: State, rows: Tensor, limits: Limits, damping: float = 0.0) -> Solve:
    """Solve on rows [S], ascending, with only the interactions that have both ends among them.

    damping: multiple of the diagonal blocks that is added to H_SS.
    """
    preconditioner = state.cache.preconditioner(state.theta, state.slopes, rows)
    coupling = state.objective.coupling(state.theta, state.slopes, rows)

    def product(direction: Tensor, image: Tensor) -> Tensor:
        return (1 + damping) * preconditioner.blocks_times(direction, image) + coupling.product(direction)

    solution = solve(
        product,
        preconditioner.apply,
        -state.debt[rows],
        limits,
    )
    return Solve(rows, solution, coupling.interactions * (1 + solution.iterations))
