"""A symmetric operator by its products with blocks of columns, and how far rounding takes them.

Axes: T is n × n; b columns of a block.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from ifru.proof.sums import EPS

_ITERATIONS = 20


class Operator(Protocol):
    """A symmetric T on vectors of n numbers, in float64; it may be indefinite."""

    @property
    def size(self) -> int:
        """n."""
        ...

    @property
    def rounding(self) -> float:
        """A computed product with a vector x is off by at most rounding·‖x‖."""
        ...

    def product(self, x: Tensor) -> Tensor:
        """T x [n, b], x [n, b]."""
        ...


def rounding(operations: float, moduli: Callable[[Tensor], Tensor], size: int) -> float:
    """A bound on the rounding of an operator's products, as in `Operator.rounding`.

    moduli(x): the operator's product, all its factors replaced by their moduli. operations: roundings on the way from
    an entry of x to an entry of the product, at most (Higham 2002, section 3.1).
    """
    return 1.01 * EPS / 2 * operations * nonnegative_norm(moduli, size)


def nonnegative_norm(product: Callable[[Tensor], Tensor], size: int) -> float:
    """‖K‖ at most, of a symmetric n × n matrix K without negative entries: max_i (Kv)_i/v_i for any v > 0 (Collatz)."""
    v, least = torch.ones(size, 1, dtype=torch.float64), math.inf
    for _ in range(_ITERATIONS):
        image = product(v)
        least = min(least, float((image / v).max()))
        if least == 0:
            break
        # Without the second term, v would go back and forth between users and items.
        v = image / least + v
        v = v / v.max()
    return least
