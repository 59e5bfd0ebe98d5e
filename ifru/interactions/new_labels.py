"""Labels that are corrected: which rows get which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ifru.interactions.table import Float32, Int64


@dataclass(frozen=True)
class NewLabels:
    """rows [n]: positions, ascending and unique. label [n]: what each of them gets."""

    rows: Int64
    label: Float32

    def __len__(self) -> int:
        return len(self.rows)

    @staticmethod
    def of(rows: Int64, label: float) -> NewLabels:
        """The same label for rows, ascending and unique."""
        return NewLabels(rows, np.full(len(rows), label, dtype=np.float32))

    @staticmethod
    def union(parts: Sequence[NewLabels], deleted: Int64) -> NewLabels:
        """All of several, but for deleted rows; of a row that several name, the last one counts."""
        parts = [NO_LABELS, *parts]
        rows = np.concatenate([part.rows for part in parts])[::-1]
        label = np.concatenate([part.label for part in parts])[::-1]
        rows, last = np.unique(rows, return_index=True)
        kept = ~np.isin(rows, deleted)
        return NewLabels(rows[kept], label[last[kept]])

    def only(self, some: np.ndarray) -> NewLabels:
        """Those of them that are told by a mask [n]."""
        return NewLabels(self.rows[some], self.label[some])


NO_LABELS = NewLabels(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32))
