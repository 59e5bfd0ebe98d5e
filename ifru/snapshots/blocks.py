"""Whole numbers that hardly differ from their neighbours, in few bytes.

Axes: V numbers, in B blocks of WIDTH.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ifru.interactions.table import Int64

WIDTH = 64


@dataclass(frozen=True)
class Blocks:
    """least: int64 [B], of each block. above: [V], what a number has beyond it, in the smallest type that holds all."""

    least: Int64
    above: NDArray[Any]

    @staticmethod
    def of(values: Int64) -> Blocks:
        """Numbers [V], any."""
        least = np.minimum.reduceat(values, np.arange(0, len(values), WIDTH)) if len(values) else values
        above = values - np.repeat(least, WIDTH)[: len(values)]
        return Blocks(least, above.astype(np.min_scalar_type(int(above.max(initial=0)))))

    def __len__(self) -> int:
        return len(self.above)

    def __getitem__(self, place: int) -> int:
        return int(self.least[place // WIDTH]) + int(self.above[place])

    @property
    def values(self) -> Int64:
        """All numbers [V]."""
        return np.repeat(self.least, WIDTH)[: len(self)] + self.above.astype(np.int64)

    @property
    def nbytes(self) -> int:
        return self.least.nbytes + self.above.nbytes
