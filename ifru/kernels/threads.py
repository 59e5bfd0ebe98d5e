"""Compiled loops on all cores, on threads of our own: numba takes twice as long to compile loops that bring theirs.

A loop releases Python's lock while it runs. How it is cut into parts depends on the work alone, so that sums over parts
are the same on any number of cores; those that are free take one part after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import TypeVar

from numba import config

_LONG = 1 << 20
"""Multiplications from which a loop is worth waking the other threads, which takes tens of microseconds."""

_MOST = 64
"""Stretches of a loop: enough for an even share of any number of cores."""

_all_long = ContextVar("every loop counts as long", default=False)

T = TypeVar("T")


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
