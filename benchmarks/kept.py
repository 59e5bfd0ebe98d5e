"""Results that are slow to find and never change, kept in a folder from run to run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Kept:
    """Tensors by what they depend on; no folder keeps nothing."""

    folder: Path | None = None

    def tensor(self, depends: tuple[object, ...], compute: Callable[[], Tensor]) -> Tensor:
        """The tensor that was computed from the same inputs before, else a new one."""
        if self.folder is None:
            return compute()
        path = self.folder / f"{digest(depends)}.pt"
        if path.exists():
            known: Tensor = torch.load(path, weights_only=True)
            return known
        found = compute()
        self.folder.mkdir(parents=True, exist_ok=True)
        torch.save(found, path)
        return found


def digest(depends: tuple[object, ...]) -> str:
    """A name for inputs: arrays by their bytes, everything else by its representation."""
    whole = hashlib.sha256()
    for part in depends:
        whole.update(_bytes(part) if isinstance(part, np.ndarray) else repr(part).encode())
        whole.update(b"\0")
    return whole.hexdigest()[:32]


def _bytes(array: NDArray[np.generic]) -> bytes:
    return np.ascontiguousarray(array).tobytes()
