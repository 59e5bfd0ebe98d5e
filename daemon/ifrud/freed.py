"""Memory that was freed, and yet still belongs to the process."""

from __future__ import annotations

import ctypes

_MMAP_THRESHOLD = -3
"""M_MMAP_THRESHOLD of malloc.h."""


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
