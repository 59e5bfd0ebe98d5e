"""Which loops run: compiled ones on the CPU, elsewhere torch's own operators; and operations on whole tables by either.

torch shares tables among threads of its own on the CPU: waking these takes longer than the sums that a solve takes
between its products, and the threads of the compiled products fall asleep meanwhile.

Axes: S rows, K columns of a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

import torch
from torch import Tensor

from ifru.kernels import vectors as kernels
from ifru.kernels.threads import on_rows

_forbidden = ContextVar("compiled loops are forbidden", default=False)


def compiled(device: torch.device) -> bool:
    """Whether work on tensors of a device goes through compiled loops."""
    return device.type == "cpu" and not _forbidden.get()


@contextmanager
def torch_only() -> Iterator[None]:
    """Inside, what is made and run takes the path of other devices, on the CPU too."""
    token = _forbidden.set(True)
    try:
        yield
    finally:
        _forbidden.reset(token)


T = TypeVar("T")


def dot(a: Tensor, b: Tensor) -> float:
    """Σ of a·b, both [S, K] and contiguous."""
    if not compiled(a.device):
        return float(torch.dot(a.reshape(-1), b.reshape(-1)))
    return sum(map(float, _on_numbers(kernels.dot, a, b)))


def total(a: Tensor) -> float:
    """Σ of a."""
    return float(a.numpy().sum() if compiled(a.device) else a.sum())


def add_both(x: Tensor, direction: Tensor, residual: Tensor, image: Tensor, length: float) -> None:
    """x += length·direction and residual −= length·image, all [S, K]."""
    if not compiled(x.device):
        x.add_(direction, alpha=length)
        residual.sub_(image, alpha=length)
        return
    _on_numbers(kernels.add_both, x, direction, residual, image, numbers=(length,))


def turn_both(direction: Tensor, z: Tensor, in_metric: Tensor, residual: Tensor, beta: float) -> None:
    """direction <- z + beta·direction and in_metric <- residual + beta·in_metric, all [S, K]."""
    if not compiled(z.device):
        direction.mul_(beta).add_(z)
        in_metric.mul_(beta).add_(residual)
        return
    _on_numbers(kernels.turn_both, direction, z, in_metric, residual, numbers=(beta,))


def dot_rows(a: Tensor, b: Tensor) -> Tensor:
    """a_s·b_s [S] of [S, K], in float64."""
    if not compiled(a.device):
        return (a * b).sum(1, dtype=torch.float64)
    out = torch.empty(len(a), dtype=torch.float64)
    on_rows(kernels.dot_rows, len(a), a.numel(), a.contiguous().numpy(), b.contiguous().numpy(), out.numpy())
    return out


def _on_numbers(loop: Callable[..., T], *tables: Tensor, numbers: tuple[float, ...] = ()) -> list[T]:
    """A loop over whole tables, all of one shape."""
    length = tables[0].numel()
    return on_rows(loop, length, length, *(table.numpy().reshape(-1) for table in tables), *numbers)
