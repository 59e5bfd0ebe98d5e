"""Newton steps among the combinations of a solution's own dimensions.

    θ → θ + θA,   by which  D^½ θθᵀ D^½  changes by  W B Wᵀ,    W = D^½ θ R orthonormal,   B [k, k] symmetric

A proof scales a dual point down by the largest eigenvalue of WᵀTW, so what a gradient leaves open in these directions
counts to first order, and everywhere else to second. There are few of them, in which the Hessian is well conditioned.

Axes: R rows, K columns of a row, of which the first d are its dimensions; k principal axes of D^½θ in use.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from ifru.objective import Linearised
from ifru.solvers.pcg import Limits, Solution, never, solve

_UNUSED = 1e-8
"""Dimensions are not in use where their squares are so much smaller than those of the largest one."""

_KNOWN = 2000
"""Directions that are kept at most."""

_TINY = 1e-300


class Face:
    """What all solves at one θ share: its axes, and how the Hessian answered to the directions of the solves before.

    Those directions span more and more of what solves for other gradients need, which then take fewer products.
    """

    def __init__(self, point: Linearised, dimensions: int, weight: Tensor) -> None:
        """At a point's θ [R, K]. dimensions: d. weight [R]: D."""
        self._point = point
        self._rows = point.theta[:, :dimensions].contiguous()
        squares, axes = torch.linalg.eigh(self._rows.T @ (weight[:, None] * self._rows))
        used = squares > _UNUSED * squares[-1:]
        self.squares, self._axes = squares[used], axes[:, used]
        count = len(self.squares) ** 2
        self._known = self._images = self._rows.new_empty(0, count)
        self._steepest = 0.0

    def seen(self, gradient: Tensor) -> Tensor:
        """What a gradient [R, K] of L is by B [k, k], twice."""
        axes = self._axes / self.squares.sqrt()
        found: Tensor = axes.T @ (self._rows.T @ gradient[:, : self._rows.shape[1]]) @ axes
        return (found + found.T) / 2

    def step(self, change: Tensor) -> Tensor:
        """The step [R, K] of B [k, k]."""
        sizes = self.squares.sqrt()
        turned = change / (self.squares[:, None] + self.squares) * sizes
        out = torch.zeros_like(self._point.theta)
        out[:, : self._rows.shape[1]] = self._rows @ ((self._axes / sizes) @ turned @ self._axes.T)
        return out

    def solve(self, seen: Tensor, limits: Limits, stop: Callable[[], bool] = never) -> Solution:
        """B [k, k] that takes what is seen [k, k] of a gradient away, with the Hessian at θ; see `pcg.solve`."""
        known, images, asked = self._known, self._images, seen.flatten()
        tried = list[tuple[Tensor, Tensor]]()

        def product(change: Tensor, _: Tensor) -> Tensor:
            image = self.seen(self._point.product(self.step(change.view_as(seen)))).flatten()
            tried.append((change.clone(), image))
            return image

        def conjugate(residual: Tensor) -> Tensor:
            """Orthogonal to the known directions, as the Hessian sees them."""
            away = residual - images.T @ (known @ residual)
            return away - known.T @ (images @ away)

        inside = known.T @ (known @ asked)
        left = asked - images.T @ (known @ asked)
        share = float(left.norm()) / max(float(asked.norm()), _TINY)
        within = replace(limits, tolerance=min(limits.tolerance / max(share, _TINY), 1.0))
        found = solve(product, conjugate, left, within, stop)
        self._keep(tried)
        return replace(found, x=(inside + found.x).view_as(seen))

    def _keep(self, tried: list[tuple[Tensor, Tensor]]) -> None:
        """Add directions to the known ones, conjugate to those before, and of length 1 as the Hessian sees it."""
        for direction, image in tried:
            if len(self._known) >= min(self._known.shape[1], _KNOWN):
                return
            part = self._images @ direction
            new, seen = direction - self._known.T @ part, image - self._images.T @ part
            curvature, square = float(new @ seen), float(new @ new)
            self._steepest = max(self._steepest, curvature / max(square, _TINY))
            # A direction that L hardly bends along is known by its rounding alone.
            if curvature > _UNUSED * self._steepest * square:
                self._known = torch.cat([self._known, new[None] / curvature**0.5])
                self._images = torch.cat([self._images, seen[None] / curvature**0.5])
