"""Memory that was freed, and yet still belongs to the process."""

from __future__ import annotations

import ctypes


def release_freed() -> None:
    """Give freed memory back to the system: glibc keeps tens of megabytes of what reading many arrays has left."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
