"""One linear solve for the debt, on a support.

    H_SS Δ_S = −g_S

Axes: R rows of θ, S rows of a support, K columns of a row.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ifru.curvature.preconditioner import Preconditioner, blocks_product
from ifru.engine.state import State
from ifru.solvers.pcg import Limits, Solution, solve


@dataclass(frozen=True)
class Solve:
    """A step [S, K], how it was found, and the interactions read for it.

    left: root of the squared decrements that it leaves on the support, as the solve sees it.
    """

    solution: Solution
    left: float
    interactions_read: int


def on_support(state: State, rows: Tensor, limits: Limits, damping: float = 0.0) -> Solve:
    """Solve on rows [S], ascending. damping: multiple of the diagonal blocks B that is added to H_SS."""
    preconditioner = state.preconditioner(rows)
    read, besides_blocks = _restricted(state, rows, preconditioner)
    gradient = state.point.gradient[rows]

    def product(direction: Tensor, image: Tensor) -> Tensor:
        return (1 + damping) * preconditioner.blocks_times(direction, image) + besides_blocks(direction, image)

    solution = solve(product, preconditioner.apply, -gradient, limits)
    left = solution.residual_norm
    if damping > 0:
        # The residual is that of the damped system: it lacks damping·Bx.
        undamped = solution.residual + damping * blocks_product(state.point, rows.cpu().numpy(), solution.x)
        left = math.sqrt(max(float(preconditioner.decrements(undamped).sum()), 0.0))
    return Solve(solution, left, read * (1 + solution.iterations))


def _restricted(
    state: State, rows: Tensor, preconditioner: Preconditioner
) -> tuple[int, Callable[[Tensor, Tensor], Tensor]]:
    """Interactions read by a product with H_SS, and what H_SS is besides the blocks: (x, Bx) [S, K] -> [S, K].

    Where scores depend on their own two rows, interactions with both ends in the support are all that couples its rows,
    so that neither the size of the data nor the degree of a popular item enters the cost.
    """
    if state.objective.capabilities.row_local:
        coupling = state.local.coupling(rows)
        return coupling.interactions, lambda x, _: coupling.product(x)

    def product(x: Tensor, in_metric: Tensor) -> Tensor:
        whole = torch.zeros_like(state.point.theta)
        whole[rows] = x
        return state.point.product(whole)[rows] - preconditioner.blocks_times(x, in_metric)

    return state.objective.interactions.retained, product
