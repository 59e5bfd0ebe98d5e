"""Operations on whole tables, as a solve runs them between its products.

On the CPU they are compiled loops. torch shares tables of this size among threads of its own: waking these takes longer
than the sums, and the threads of the compiled products fall asleep meanwhile.

Axes: S rows, K columns of a row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from numba import get_num_threads
from torch import Tensor

from ifru.kernels import vectors as kernels
from ifru.kernels.dispatch import compiled, is_long

T = TypeVar("T")


def dot(a: Tensor, b: Tensor) -> float:
    """Σ of a·b, both [S, K] and contiguous."""
    if not compiled(a.device):
        return float(torch.dot(a.reshape(-1), b.reshape(-1)))
    return float(_run(kernels.dot, kernels.dot_many, (a, b)))


def total(a: Tensor) -> float:
    """Σ of a."""
    return float(a.numpy().sum() if compiled(a.device) else a.sum())


def add_both(x: Tensor, direction: Tensor, residual: Tensor, image: Tensor, length: float) -> None:
    """x += length·direction and residual −= length·image, all [S, K]."""
    if not compiled(x.device):
        x.add_(direction, alpha=length)
        residual.sub_(image, alpha=length)
        return
    _run(kernels.add_both, kernels.add_both_many, (x, direction, residual, image), length)


def turn_both(direction: Tensor, z: Tensor, in_metric: Tensor, residual: Tensor, beta: float) -> None:
    """direction <- z + beta·direction and in_metric <- residual + beta·in_metric, all [S, K]."""
    if not compiled(z.device):
        direction.mul_(beta).add_(z)
        in_metric.mul_(beta).add_(residual)
        return
    _run(kernels.turn_both, kernels.turn_both_many, (direction, z, in_metric, residual), beta)


def dot_rows(a: Tensor, b: Tensor) -> Tensor:
    """a_s·b_s [S] of [S, K], in float64."""
    if not compiled(a.device):
        return (a * b).sum(1, dtype=torch.float64)
    out = torch.empty(len(a), dtype=torch.float64)
    take = kernels.dot_rows_many if is_long(a.numel()) else kernels.dot_rows
    take(a.contiguous().numpy(), b.contiguous().numpy(), out.numpy())
    return out


def _run(some: Callable[..., T], many: Callable[..., T], tables: Sequence[Tensor], *numbers: float) -> T:
    """A loop over whole tables, all of one shape: on one core, or on all where they are long."""
    flat = [table.numpy().reshape(-1) for table in tables]
    if is_long(len(flat[0])):
        return many(*flat, *numbers, get_num_threads())
    return some(*flat, *numbers)
