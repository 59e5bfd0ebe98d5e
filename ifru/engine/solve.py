"""One linear solve for the debt, on a support.

    H_SS Δ_S = −r_S

On a support, H_SS is the diagonal blocks plus the coupling of the interactions inside it. Where the blocks are cached,
neither the size of the data nor the degree of a popular item enters the cost.

Axes: S rows of a support, K columns of a row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from ifru.engine.state import State
from ifru.solvers.pcg import Limits, Solution, solve


@dataclass(frozen=True)
class Solve:
    """A step [S, K], how it was found, and the interactions read for it.

    left: √energy of the debt that it leaves on the support, as the solve sees it.
    """

    solution: Solution
    left: float
    interactions_read: int


def on_support(state: State, rows: Tensor, limits: Limits, damping: float = 0.0) -> Solve:
    """Solve on rows [S], ascending, with only the interactions that have both ends among them.

    damping: multiple of the diagonal blocks that is added to H_SS.
    """
    preconditioner = state.cache.preconditioner(state.theta, state.slopes, rows)
    coupling = state.objective.coupling(state.theta, state.slopes, rows)

    def product(direction: Tensor, image: Tensor) -> Tensor:
        return (1 + damping) * preconditioner.blocks_times(direction, image) + coupling.product(direction)

    solution = solve(product, preconditioner.apply, -state.debt[rows], limits)
    left = solution.residual_norm
    if damping > 0:
        # The residual is that of the damped system: it lacks damping·Bx, which the system itself gives.
        blocks_times_x = -(state.debt[rows] + coupling.product(solution.x) + solution.residual) / (1 + damping)
        undamped = solution.residual + damping * blocks_times_x
        left = math.sqrt(max(float(preconditioner.energies(undamped).sum()), 0.0))
    return Solve(solution, left, coupling.interactions * (1 + solution.iterations))
