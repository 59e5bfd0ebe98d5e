"""Row positions in memory, and in the Parquet files.

A data set in memory keeps its positions for as long as the process lives; a full version is written without the rows
that were deleted before it, so positions in its files are smaller.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ifru.interactions import Dataset, Deletion, Interactions
from ifru.interactions.table import Int64


@dataclass(frozen=True)
class Numbering:
    """What separates positions in memory from those in the files of one full version.

    train, holdout: positions in memory, ascending, of the rows that the files were written without.
    """

    train: Int64
    holdout: Int64

    @staticmethod
    def same() -> Numbering:
        """Of a data set that was read from the files themselves."""
        nothing = np.empty(0, dtype=np.int64)
        return Numbering(nothing, nothing)

    @staticmethod
    def of(dataset: Dataset) -> Numbering:
        """Of files that are written from a data set as it is now."""
        return Numbering(_dead(dataset.train), _dead(dataset.holdout))

    def in_files(self, deletion: Deletion) -> Deletion:
        """A deletion by positions in the files. Raises ValueError for a row that the files do not have."""
        train, holdout = deletion.train_labels, deletion.holdout_labels
        return Deletion(
            _shifted(deletion.train, self.train),
            _shifted(deletion.holdout, self.holdout),
            replace(train, rows=_shifted(train.rows, self.train)),
            replace(holdout, rows=_shifted(holdout.rows, self.holdout)),
        )


def _dead(interactions: Interactions) -> Int64:
    return np.flatnonzero(~interactions.alive).astype(np.int64)


def _shifted(positions: Int64, gone: Int64) -> Int64:
    before = np.searchsorted(gone, positions)
    if len(gone) and bool((gone[np.minimum(before, len(gone) - 1)] == positions).any()):
        raise ValueError("a row is deleted or relabelled that was deleted before the last full version")
    return positions - before
