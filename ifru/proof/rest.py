"""A bound on the norm of what leading triplets leave of a matrix, from block Lanczos with a random start.

Lanczos alone gives bounds from below. From a random start they are nearly bounds from above, but for a known
probability (Kuczynski and Wozniakowski 1992 for one vector, Tropp 2021 for blocks). In the form used here, with b
random vectors in n dimensions after k steps,

    ‖M‖ ≤ estimate·cosh(A / (2k − 1))        unless        x ≤ 1/cosh² A,        x ~ Beta(b/2, (n − 1)/2)

for all k at once, so that k may depend on what has been seen. `docs/proof.md` derives it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ifru.proof.krylov import Krylov
from ifru.proof.triplets import Triplets

_BLOCK = 16
"""Random vectors: so many that a start that misses a direction is very rare, so few that products are fast."""


@dataclass(frozen=True)
class RestNorm:
    """estimate: the norm of the rest at least. bound: at most. reachable: what the bound can come down to at best."""

    estimate: float
    reachable: float
    bound: float


def rest_norms(triplets: Triplets, random: torch.Generator, failure: float, steps: int) -> Iterator[RestNorm]:
    """What is known of the norm of the rest, as Lanczos goes on.

    All bounds hold together with probability 1 − failure, over `random`. Ends after some steps, or sooner where no
    dimension is left to look into.
    """
    matrix, left = triplets.matrix, triplets.left

    def normal(x: Tensor) -> Tensor:
        y = matrix.product(x)
        return matrix.adjoint(y - left @ (left.T @ y))

    basis = Krylov(normal, triplets.right)
    if basis.full:
        yield RestNorm(0.0, 0.0, 0.0)
        return
    free = len(triplets.right) - triplets.right.shape[1]
    width = min(_BLOCK, free)
    angle = _angle(width, free, failure)
    block, look = torch.randn(len(triplets.right), width, generator=random, dtype=torch.float64), 1
    for step in range(1, steps + 1):
        block = basis.grow(block)
        if step < min(look, steps) and not basis.full:
            continue
        # Eigenvalues take longer and longer, so they are looked at less and less often.
        look = step + 1 + step // 4
        estimate = math.sqrt(max(float(torch.linalg.eigvalsh(basis.projected)[-1]), 0.0))
        now, at_best = (1.0 if basis.full else math.cosh(angle / (2 * k - 1)) for k in (step, steps))
        slack = 2 * matrix.rounding
        yield RestNorm(estimate, estimate * at_best + slack, estimate * now + slack)
        if basis.full:
            return


def _angle(block: int, dimensions: int, failure: float) -> float:
    """A with P(x ≤ 1/cosh² A) ≤ failure, for x ~ Beta(block/2, (dimensions − 1)/2).

    From the density's first factor alone: P(x ≤ t) ≤ t^a·Γ(a + c) / (Γ(a + 1)·Γ(c)), for c ≥ 1.
    """
    if dimensions == block:
        return 0.0
    a, c = block / 2, (dimensions - 1) / 2
    logarithm = (math.lgamma(a + c) - math.lgamma(a + 1) - math.lgamma(c) - math.log(failure)) / (2 * a)
    # arcosh of an exponential that may overflow.
    return logarithm + math.log1p(math.sqrt(-math.expm1(-2 * logarithm)))
