"""A bound on the largest eigenvalue of what a split leaves, from block Lanczos with a random start.

Lanczos alone gives bounds from below. From a random start they are nearly bounds from above, but for a known
probability (Kuczynski and Wozniakowski 1992 for one vector, Tropp 2021 for blocks). In the form used here, for a
symmetric operator whose Ritz values go from θ_min to θ_max, with b random vectors in n dimensions after k steps,

    λ_max ≤ θ_max + s/(1 − s)·(θ_max − θ_min),    s = sinh²(A / (2k − 1)),    unless  x ≤ 1/cosh² A  at either end,

x ~ Beta(b/2, (n − 1)/2), for all k at once, so that k may depend on what has been seen. `docs/proof.md` derives it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ifru.proof.krylov import Krylov
from ifru.proof.split import Split

_BLOCK = 16
"""Random vectors: so many that a start that misses a direction is very rare, so few that products are fast."""


@dataclass(frozen=True)
class RestBound:
    """estimate: λ_max of the rest at least. bound: at most. reachable: what the bound can come down to at best.

    basis: where it was looked for.
    """

    estimate: float
    reachable: float
    bound: float
    basis: Krylov

    def largest(self, count: int) -> Tensor:
        """Ritz vectors [n, ·] of the rest's largest eigenvalues, so many at most."""
        vectors: Tensor = self.basis.columns @ torch.linalg.eigh(self.basis.projected)[1][:, -count:]
        return vectors


def rest_bounds(split: Split, random: torch.Generator, failure: float, steps: int) -> Iterator[RestBound]:
    """What is known of the rest's largest eigenvalue, as Lanczos goes on.

    All bounds hold together with probability 1 − failure, over `random`. Ends after some steps, or sooner where no
    dimension is left to look into.
    """
    operator, vectors = split.operator, split.vectors
    basis = Krylov(operator.product, vectors)
    if basis.full:
        # Of nothing every number is a bound.
        lowest = float(split.values.min())
        yield RestBound(lowest, lowest, lowest, basis)
        return
    free = len(vectors) - vectors.shape[1]
    width = min(_BLOCK, free)
    angle = _angle(width, free, failure / 2)
    block, look = torch.randn(len(vectors), width, generator=random, dtype=torch.float64), 1
    for step in range(1, steps + 1):
        block = basis.grow(block)
        if step < min(look, steps) and not basis.full:
            continue
        # Eigenvalues take longer and longer, so they are looked at less and less often.
        look = step + 1 + step // 4
        spectrum = torch.linalg.eigvalsh(basis.projected)
        estimate, spread = float(spectrum[-1]), float(spectrum[-1] - spectrum[0])
        now, at_best = (0.0 if basis.full else _share(angle / (2 * k - 1)) for k in (step, steps))
        slack = 2 * operator.rounding
        yield RestBound(estimate, estimate + spread * at_best + slack, estimate + spread * now + slack, basis)
        if basis.full:
            return


def _share(angle: float) -> float:
    """Share of the spread of the Ritz values that λ_max is above the largest one at most."""
    share = math.sinh(min(angle, 1.0)) ** 2
    return share / (1 - share) if share < 1 else math.inf


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
