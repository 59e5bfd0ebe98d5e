"""The largest eigenvalue of a symmetric operator, from both sides.

Axes: T is n × n; r vectors.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ifru.proof.krylov import Krylov
from ifru.proof.operator import Operator
from ifru.proof.rest import RestBound, rest_bounds
from ifru.proof.split import Ritz, Split

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
"""Residuals of unfinished Ritz vectors that the basis grows by."""
_MISSED = 16
"""Ritz vectors of the rest that the basis grows by where the rest turned out too large."""
_WIDEST = 4
"""Width at which the basis is restarted, in multiples of what survives."""
_NARROW = 512
"""Width below which it never is: a small operator is seen whole, whatever its spectrum."""

Enough = Callable[[float, float], bool]


@dataclass(frozen=True)
class LargestEigenvalue:
    """lower ≤ λ_max(T) ≤ upper, the second with probability 1 − failure.

    vectors [n, r], values [r], descending: of the largest eigenvalues, as far as they were needed. Each value is vᵀTv
    of its vector v; those after the first may be below the eigenvalues. split, rest: what the upper bound is from, the
    second on what the first leaves.
    """

    lower: float
    upper: float
    vectors: Tensor
    values: Tensor
    failure: float
    split: Split
    rest: float


def largest_eigenvalue(
    operator: Operator,
    start: Tensor,
    random: torch.Generator,
    enough: Enough,
    check: Callable[[], None],
) -> LargestEigenvalue:
    """Close in on λ_max(T) until `enough(lower, upper)`, or until more work does not pay.

    start [n, k]: where the vectors of the largest eigenvalues are thought to be. The result holds wherever they are.
    check(): called at every step; what it raises ends the work.
    Grows a basis until its vectors promise enough, then has the rest bounded; again, where that falls short.
    """
    start = torch.cat([start, torch.randn(len(start), _RANDOM, generator=random, dtype=torch.float64)], 1)
    basis = Krylov(operator.product, start.new_empty(len(start), 0))
    basis.grow(start)
    most, upper, trials = start.shape[1] + _OPEN, math.inf, 0
    for step in range(_ROUNDS):
        check()
        ritz = Ritz.of(operator, basis, most)
        split = ritz.split()
        satisfied = _or_exact(enough, split)
        last = step == _ROUNDS - 1 or basis.full
        tried = last or (step > 1 and satisfied(split.lower, split.upper(split.outside)))
        if tried:
            trials += 1
            last = last or trials == _TRIALS
            rest = _bounded(split, random, satisfied, check, last)
            upper = min(upper, split.upper(rest.bound))
            if last or satisfied(split.lower, upper):
                break
        if basis.columns.shape[1] > max(_WIDEST * most, _NARROW):
            basis.restart(ritz.vectors, ritz.values)
        unfinished = ritz.open > split.slack
        most = max(most, int((~unfinished).sum()) + _OPEN)
        reach = torch.where(unfinished, ritz.values[: len(ritz.open)] + ritz.open, -torch.inf)
        block = ritz.coupling[:, reach.argsort(descending=True)[: min(_OPEN, int(unfinished.sum()))]]
        if tried:
            # The rest was larger than it looked: it holds directions that the start did not reach.
            block = torch.cat([block, rest.largest(_MISSED)], 1)
        elif block.shape[1] == 0:
            block = torch.randn(len(start), _RANDOM, generator=random, dtype=torch.float64)
        for _ in range(_BLOCKS):
            block = block if basis.full else basis.grow(block)
    tops = slice(split.tops)
    vectors, values, failure = split.vectors[:, tops], split.values[tops], trials * _FAILURE / _TRIALS
    return LargestEigenvalue(split.lower, upper, vectors, values, failure, split, rest.bound)


def _or_exact(enough: Enough, split: Split) -> Enough:
    """Enough, or as much as rounding allows."""
    return lambda lower, upper: upper - lower <= 3 * split.slack or enough(lower, upper)


def _bounded(split: Split, random: torch.Generator, enough: Enough, check: Callable[[], None], last: bool) -> RestBound:
    """What the rest is bounded by; gives up early, but for the last time, where it turns out too large."""
    lower = split.lower
    for rest in rest_bounds(split, random, _FAILURE / _TRIALS, _REST_STEPS):
        check()
        # What is not enough by itself is not enough with the coupling, which takes long to add.
        found = enough(lower, rest.bound) and enough(lower, split.upper(rest.bound))
        if found or not (last or enough(lower, split.upper(rest.reachable))):
            break
    return rest
