"""Which loops run: compiled ones on the CPU, elsewhere torch's own operators; and operations on whole tables by either.

torch shares tables among threads of its own on the CPU: waking these takes longer than the sums that a solve takes
between its products, and the threads of the compiled products fall asleep meanwhile.

Axes: S rows, K columns of a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

import torch
from numba import threading_layer
from torch import Tensor

from ifru.kernels import vectors as kernels

_LONG = 1 << 20
"""Multiplications from which a loop is worth waking the other threads, which takes tens of microseconds."""

_forbidden = ContextVar("compiled loops are forbidden", default=False)
_all_long = ContextVar("every loop counts as long", default=False)


def compiled(device: torch.device) -> bool:
    """Whether work on tensors of a device goes through compiled loops."""
    return device.type == "cpu" and not _forbidden.get()


def is_long(multiplications: int) -> bool:
    """Whether a loop of so many multiplications should run on all cores."""
    return multiplications > _LONG or _all_long.get()


def concurrent() -> bool:
    """Whether several threads may run compiled loops at once, as far as it is known: once one has run on all cores.

    Numba ends the process where it has found no other layer for its threads than its own, and two threads do.
    """
    try:
        return bool(threading_layer() != "workqueue")
    except ValueError:
        # None has run, as on other devices than the CPU.
        return True


@contextmanager
def torch_only() -> Iterator[None]:
    """Inside, what is made and run takes the path of other devices, on the CPU too."""
    with _set(_forbidden):
        yield


@contextmanager
def all_cores() -> Iterator[None]:
    """Inside, every loop that could run on all cores does."""
    with _set(_all_long):
        yield


@contextmanager
def _set(variable: ContextVar[bool]) -> Iterator[None]:
    token = variable.set(True)
    try:
        yield
    finally:
        variable.reset(token)


T = TypeVar("T")


def dot(a: Tensor, b: Tensor) -> float:
    """Σ of a·b, both [S, K] and contiguous."""
    if not compiled(a.device):
        return float(torch.dot(a.reshape(-1), b.reshape(-1)))
    return float(_run(kernels.dot, (a, b)))


def total(a: Tensor) -> float:
    """Σ of a."""
    return float(a.numpy().sum() if compiled(a.device) else a.sum())


def add_both(x: Tensor, direction: Tensor, residual: Tensor, image: Tensor, length: float) -> None:
    """x += length·direction and residual −= length·image, all [S, K]."""
    if not compiled(x.device):
        x.add_(direction, alpha=length)
        residual.sub_(image, alpha=length)
        return
    _run(kernels.add_both, (x, direction, residual, image), length)


def turn_both(direction: Tensor, z: Tensor, in_metric: Tensor, residual: Tensor, beta: float) -> None:
    """direction <- z + beta·direction and in_metric <- residual + beta·in_metric, all [S, K]."""
    if not compiled(z.device):
        direction.mul_(beta).add_(z)
        in_metric.mul_(beta).add_(residual)
        return
    _run(kernels.turn_both, (direction, z, in_metric, residual), beta)


def dot_rows(a: Tensor, b: Tensor) -> Tensor:
    """a_s·b_s [S] of [S, K], in float64."""
    if not compiled(a.device):
        return (a * b).sum(1, dtype=torch.float64)
    out = torch.empty(len(a), dtype=torch.float64)
    kernels.dot_rows(a.contiguous().numpy(), b.contiguous().numpy(), out.numpy(), is_long(a.numel()))
    return out


def _run(loop: Callable[..., T], tables: Sequence[Tensor], *numbers: float) -> T:
    """A loop over whole tables, all of one shape: on one core, or on all where they are long."""
    flat = [table.numpy().reshape(-1) for table in tables]
    return loop(*flat, *numbers, is_long(len(flat[0])))
