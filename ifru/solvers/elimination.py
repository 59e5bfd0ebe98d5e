"""Newton's linear system with one side of the model eliminated: the Schur complement.

    H = | A  C |      S y = b − Cᵀ A⁻¹ a,   S = B − Cᵀ A⁻¹ C,   x = A⁻¹ (a − C y)
        | Cᵀ B |

Rows of one side are not coupled with each other, so A is block-diagonal, and A⁻¹ is what preconditions. To the same
residual, conjugate gradients take half as many iterations on S as on H (Reid 1972, "Property A"), and one of them costs
about as much. With blocks that are a little out of date it is the system of those blocks that is solved.

Axes: R rows, E eliminated ones, F those of the other side, K columns of a row.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor

from ifru.curvature.preconditioner import Preconditioner
from ifru.kernels.dispatch import dot
from ifru.objective import Bipartite, Linearised
from ifru.solvers.pcg import Limits, Solution, never, solve
from ifru.solvers.reason import Reason


@dataclass(frozen=True)
class Elimination:
    """of_users: whether users are eliminated. gone, kept: M⁻¹ of the eliminated rows [E], and of the others [F]."""

    point: Bipartite
    of_users: bool
    gone: Preconditioner
    kept: Preconditioner

    @staticmethod
    def of(point: Linearised, preconditioner: Preconditioner) -> Elimination | None:
        """Of the side with more rows if its blocks are at hand, else of the other; None where neither's are.

        None too where blocks are not the Hessian's own. preconditioner: of all rows.
        """
        capabilities, table = point.objective.capabilities, point.objective.interactions
        if not (capabilities.exact_blocks and capabilities.bipartite):
            return None
        sides = preconditioner.split(table.users)
        users_first = table.users >= table.items
        for of_users in (users_first, not users_first):
            gone, kept = sides if of_users else reversed(sides)
            if gone.fallback is None:
                return Elimination(cast("Bipartite", point), of_users, gone, kept)
        return None

    def solve(
        self, b: Tensor, scaled: Tensor, norm: float, limits: Limits, stop: Callable[[], bool] = never
    ) -> Solution:
        """Solve Hx = b [R, K], where scaled = M⁻¹b and norm = ‖b‖_{M⁻¹} are at hand; see `ifru.solvers.pcg.solve`.

        The radius holds for the rows that are kept. `length` is their part of ‖x‖_M. `iterations` counts products
        with H, or what costs as much.
        """
        b_gone, b_kept = self._sides(b)
        first = self._sides(scaled)[0].contiguous()
        right = b_kept - self._cross(first, self.of_users)
        right_scaled = self.kept.apply(right)
        right_norm = math.sqrt(max(dot(right, right_scaled), 0.0))
        aim = limits.tolerance * norm / right_norm if right_norm > 0 else 1.0

        def product(direction: Tensor, in_metric: Tensor) -> Tensor:
            back = self._cross(self.gone.apply(self._cross(direction, not self.of_users)), self.of_users)
            return self.kept.blocks_times(direction, in_metric) - back

        found = solve(product, self.kept.apply, right, replace(limits, tolerance=aim), stop, right_scaled)
        if found.reason is Reason.STOPPED and found.iterations == 0:
            return replace(found, x=torch.zeros_like(b), residual=b)
        x_gone = first - self.gone.apply(self._cross(found.x, not self.of_users))
        settled = torch.zeros_like(b_gone)
        decrease = found.decrease + 0.5 * dot(b_gone.contiguous(), first)
        return replace(
            found,
            x=self._joined(x_gone, found.x),
            residual=self._joined(settled, found.residual),
            iterations=found.iterations + 1,
            initial_norm=norm,
            decrease=decrease,
        )

    def _cross(self, x: Tensor, of_users: bool) -> Tensor:
        return self.point.cross(x, of_users)

    def _sides(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The eliminated rows [E, K] of x [R, K], and the others [F, K]."""
        border = self.point.objective.interactions.users
        users, items = x[:border], x[border:]
        return (users, items) if self.of_users else (items, users)

    def _joined(self, gone: Tensor, kept: Tensor) -> Tensor:
        return torch.cat([gone, kept] if self.of_users else [kept, gone])
