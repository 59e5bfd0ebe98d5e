"""Sums that carry a bound on their own rounding error."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

EPS = torch.finfo(torch.float64).eps
_BLOCK = 16


@dataclass(frozen=True)
class Sum:
    """A computed number and how far it can be from the exact one."""

    value: float
    error: float

    def __add__(self, other: Sum) -> Sum:
        return Sum(self.value + other.value, self.error + other.error + EPS * abs(self.value + other.value))

    def times(self, factor: float) -> Sum:
        """Multiplied by a number."""
        value = factor * self.value
        return Sum(value, abs(factor) * self.error + EPS * abs(value))


def total(terms: Tensor, error: Tensor | None = None) -> Sum:
    """The sum of terms [n], float64. error [n]: bounds on the errors of the terms.

    Blocks are summed in whatever order torch likes, then exactly, so the bound does not grow with n.
    """
    size = float(terms.abs().sum())
    own = 0.0 if error is None else float(error.sum())
    blocks = torch.cat([terms, terms.new_zeros(-len(terms) % _BLOCK)]).view(-1, _BLOCK)
    return Sum(math.fsum(blocks.sum(1).tolist()), (1 + 2 * EPS * len(terms)) * (_BLOCK * EPS * size + own))
