"""Which loops run: compiled ones on the CPU, elsewhere torch's own operators; and on which threads compiled ones run.

These are threads of our own: numba takes twice as long to compile loops that bring theirs. A loop releases Python's
lock while it runs. How it is cut into parts depends on the work alone, so that sums over parts are the same on any
number of cores; those that are free take one part after the other. torch shares tables among threads of its own on the
CPU: waking these takes longer than the sums that a solve takes between its products, so that these run here too.

Axes: S rows, K columns of a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import TypeVar

import torch
from numba import config
from torch import Tensor

from ifru.kernels import vectors as kernels

_forbidden = ContextVar("compiled loops are forbidden", default=False)
_all_long = ContextVar("every loop counts as long", default=False)

_LONG = 1 << 20
"""Multiplications from which a loop is worth waking the other threads, which takes tens of microseconds."""

_MOST = 64
"""Stretches of a loop: enough for an even share of any number of cores."""

T = TypeVar("T")


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


def cores() -> int:
    """Threads that work at once, the calling one among them: those of the machine, or as NUMBA_NUM_THREADS says."""
    return int(config.NUMBA_NUM_THREADS)


@contextmanager
def all_cores() -> Iterator[None]:
    """Inside, every loop that could run on all cores does."""
    token = _all_long.set(True)
    try:
        yield
    finally:
        _all_long.reset(token)


def stretches(multiplications: int) -> int:
    """Into how many a loop of so many multiplications is cut: one where it is not worth waking other threads."""
    if _all_long.get():
        return _MOST
    return max(min(2 * multiplications // _LONG, _MOST), 1) if multiplications > _LONG else 1


def on_rows(loop: Callable[..., T], rows: int, multiplications: int, *tables: object) -> list[T]:
    """loop(begin, end, *tables) for stretches of so many rows; what it returned for each, in order.

    multiplications: of all rows together.
    """
    count = min(stretches(multiplications), rows)
    if count <= 1:
        return [loop(0, rows, *tables)]
    return on_parts(lambda c: loop(c * rows // count, (c + 1) * rows // count, *tables), count)


def on_parts(loop: Callable[..., T], count: int, *tables: object) -> list[T]:
    """loop(c, *tables) for parts c = 0, 1, ... of a count; what it returned for each, in order."""
    if count == 1 or cores() == 1:
        return [loop(c, *tables) for c in range(count)]
    parts, found = iter(range(count)), dict[int, T]()

    def work() -> None:
        for c in parts:
            found[c] = loop(c, *tables)

    others = [_pool().submit(work) for _ in range(min(count, cores()) - 1)]
    try:
        work()
    finally:
        # One that has not begun finds nothing left to do.
        begun = [other for other in others if not other.cancel()]
        for other in begun:
            other.result()
    return [found[c] for c in range(count)]


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(cores() - 1, thread_name_prefix="ifru-loops")


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
