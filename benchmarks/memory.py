"""How much memory a process takes, and how much of it an object holds."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, ModuleType

import numpy as np
from torch import Tensor

_STATUS = Path("/proc/self/status")
_PEAK = Path("/proc/self/clear_refs")
_SHARED = (type, ModuleType, FunctionType, BuiltinFunctionType)


def resident() -> int | None:
    """Bytes of this process that are in memory, garbage collected first; None where the system does not tell."""
    gc.collect()
    return _status("VmRSS")


def peak() -> int | None:
    """Most bytes of this process that were in memory since `restart_peak`; None where the system does not tell."""
    return _status("VmHWM")


def restart_peak() -> bool:
    """Let the peak start anew from what is in memory now; False where the system does not allow it."""
    try:
        _PEAK.write_text("5")
    except OSError:
        return False
    return True


def held(thing: object) -> int:
    """Bytes of an object and of all that it refers to; arrays and tensors that share their memory count once."""
    seen: set[int] = set()
    buffers: dict[int, int] = {}
    plain = 0
    waiting = [thing]
    while waiting:
        found = waiting.pop()
        if id(found) in seen or isinstance(found, _SHARED):
            continue
        seen.add(id(found))
        if isinstance(found, Tensor):
            storage = found.untyped_storage()
            _at_least(buffers, storage.data_ptr(), storage.nbytes())
        elif isinstance(found, np.ndarray) and isinstance(found.base, np.ndarray | Tensor):
            waiting.append(found.base)
        elif isinstance(found, np.ndarray):
            _at_least(buffers, found.ctypes.data, found.nbytes)
        else:
            plain += sys.getsizeof(found)
            waiting.extend(gc.get_referents(found))
    return plain + sum(buffers.values())


def _at_least(buffers: dict[int, int], address: int, size: int) -> None:
    buffers[address] = max(size, buffers.get(address, 0))


def _status(name: str) -> int | None:
    if not _STATUS.exists():
        return None
    lines = (line.split() for line in _STATUS.read_text().splitlines())
    return next((1024 * int(words[1]) for words in lines if words[0] == f"{name}:"), None)
