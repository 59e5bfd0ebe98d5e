"""The largest singular value of a sparse matrix, from both sides.

Axes: M is m × n.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ifru.proof.krylov import Krylov
from ifru.proof.rest import rest_norms
from ifru.proof.sparse import SparseMatrix
from ifru.proof.triplets import ASSUMED, Ritz, Triplets

_FAILURE = 1e-12
"""Probability that a bound is too low, over all trials."""
_TRIALS = 8
_ROUNDS = 16
_REST_STEPS = 60
_BLOCKS = 3
"""Blocks by which the basis grows between two looks at it."""
_RANDOM = 16
"""Random columns to start with: directions that the caller did not think of."""
_OPEN = 32
"""Residuals of unfinished triplets that the basis grows by."""
_WIDEST = 4
"""Width at which the basis is restarted, in multiples of what survives."""
_NARROW = 512
"""Width below which it never is: a small matrix is seen whole, whatever its spectrum."""

Enough = Callable[[float, float], bool]


@dataclass(frozen=True)
class Progress:
    """What is known of σ_max so far, and the stage that found it out."""

    stage: str
    lower: float
    upper: float


@dataclass(frozen=True)
class SpectralNorm:
    """lower ≤ σ_max(M) ≤ upper, the second with probability 1 − failure.

    left [m, r], right [n, r], values [r], descending: leading singular triplets, as far as they were needed. Each value
    is that of M between its two vectors; those after the first may be below the singular values.
    """

    lower: float
    upper: float
    left: Tensor
    right: Tensor
    values: Tensor
    failure: float

    @property
    def subspace(self) -> Tensor:
        """The vectors of the shorter side [min(m, n), r] (the right one, where none is), to start from another time."""
        return self.left if len(self.left) < len(self.right) else self.right


def spectral_norm(
    matrix: SparseMatrix,
    start: Tensor,
    random: torch.Generator,
    enough: Enough,
    report: Callable[[Progress], None],
) -> SpectralNorm:
    """Close in on σ_max(M) until `enough(lower, upper)`, or until more work does not pay.

    start [min(m, n), k]: where the leading singular vectors of the shorter side (the right one, where none is) are
    thought to be. The result holds wherever they are.
    """
    if matrix.shape[0] < matrix.shape[1]:
        flipped = spectral_norm(matrix.transposed, start, random, enough, report)
        return replace(flipped, left=flipped.right, right=flipped.left)
    m, n = matrix.shape
    if matrix.frobenius == 0:
        return SpectralNorm(0.0, 0.0, start.new_zeros(m, 0), start.new_zeros(n, 0), start.new_zeros(0), 0.0)
    noise = torch.randn(n, _RANDOM, generator=random, dtype=torch.float64)
    return _close_in(matrix, torch.cat([start, noise], 1), random, enough, report)


def _close_in(
    matrix: SparseMatrix,
    start: Tensor,
    random: torch.Generator,
    enough: Enough,
    report: Callable[[Progress], None],
) -> SpectralNorm:
    """Grow a basis until its triplets promise enough, then have the rest bounded; again, where that falls short."""
    basis = Krylov(lambda x: matrix.adjoint(matrix.product(x)), start.new_empty(len(start), 0))
    basis.grow(start)
    most, upper, trials = start.shape[1] + _OPEN, math.inf, 0
    for step in range(_ROUNDS):
        ritz = Ritz.of(matrix, basis, most)
        triplets = ritz.triplets()
        last = step == _ROUNDS - 1 or basis.full
        report(Progress("subspace", triplets.lower, upper))
        tried = last or (step > 0 and enough(triplets.lower, triplets.upper(ASSUMED * triplets.outside)))
        if tried:
            trials += 1
            last = last or trials == _TRIALS
            upper = min(upper, _certified(triplets, random, enough, last))
            report(Progress("rest", triplets.lower, upper))
            if last or enough(triplets.lower, upper):
                break
        if basis.columns.shape[1] > max(_WIDEST * most, _NARROW):
            basis.restart(ritz.right, ritz.values.square())
        unfinished = ritz.open > triplets.slack
        most = max(most, int((~unfinished).sum()) + _OPEN)
        reach = torch.where(unfinished, ritz.values + ritz.open, 0.0)
        block = ritz.coupling[:, reach.argsort(descending=True)[: min(_OPEN, int(unfinished.sum()))]]
        if tried or block.shape[1] == 0:
            # The rest was larger than it looked: it holds directions that the start did not reach.
            block = torch.cat([block, torch.randn(len(start), _RANDOM, generator=random, dtype=torch.float64)], 1)
        for _ in range(_BLOCKS):
            block = block if basis.full else basis.grow(block)
    failure = trials * _FAILURE / _TRIALS
    return SpectralNorm(triplets.lower, upper, triplets.left, triplets.right, triplets.values, failure)


def _certified(triplets: Triplets, random: torch.Generator, enough: Enough, last: bool) -> float:
    """σ_max at most; gives up early, but for the last time, where the rest turns out too large."""
    lower, least = triplets.lower, math.inf
    for rest in rest_norms(triplets, random, _FAILURE / _TRIALS, _REST_STEPS):
        least = min(least, rest.bound)
        # What is not enough by itself is not enough with the coupling, which takes long to add.
        found = enough(lower, least) and enough(lower, triplets.upper(least))
        if found or not (last or enough(lower, triplets.upper(rest.reachable))):
            break
    return triplets.upper(least)
