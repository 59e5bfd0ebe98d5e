"""Dimensions that a model does not use: where a deletion makes the optimum need one, solving on does not find it.

The gradient along a dimension that is zero is zero. What is left is a saddle that a proof tells from the optimum.

Axes: R rows, K columns of a row.
"""

from __future__ import annotations

import torch
from torch import Tensor

_SPARE, _NOISE = 1e-3, 1e-4
"""A dimension is to spare where it is such a share of the largest; and the standard deviation of what it starts with
where the optimum needs it."""


def has_spare(theta: Tensor) -> bool:
    """Whether a model [R, K] has a dimension that it does not use."""
    values = torch.linalg.eigvalsh(theta.T @ theta)
    return bool(values[0] < _SPARE**2 * values[-1])


def woken(theta: Tensor, random: torch.Generator) -> Tensor:
    """A model [R, K] with a little of every dimension in all rows that have data."""
    noise = torch.randn(theta.shape, generator=random, dtype=theta.dtype)
    return theta + _NOISE * noise * (theta != 0).any(dim=1, keepdim=True)
