"""Which loops run: compiled ones on the CPU, elsewhere torch's own operators in their place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

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
