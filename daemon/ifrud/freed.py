"""Memory that was freed, and yet still belongs to the process."""

from __future__ import annotations

import ctypes
import gc

_MMAP_THRESHOLD = -3
"""M_MMAP_THRESHOLD of malloc.h."""


_COLLECTIONS = 100
"""Collections of younger objects before all objects are looked through; Python's own number is 10."""


def collect_rarely() -> None:
    """Look through all objects a tenth as often as Python does by itself.

    With all that is imported one takes a quarter of a second, and events in hand make it due every few thousand.
    """
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, _COLLECTIONS)


def release_freed() -> None:
    """Give freed memory back to the system: glibc keeps tens of megabytes of what reading many arrays has left."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def return_at_once() -> None:
    """Have the system take back what is freed, where it is larger than a megabyte.

    By default glibc comes to keep blocks of up to 32 MB, the size of vectors over all rows, and takes twice the memory.
    """
    option = getattr(ctypes.CDLL(None), "mallopt", None)
    if option is not None:
        option(_MMAP_THRESHOLD, 1 << 20)
