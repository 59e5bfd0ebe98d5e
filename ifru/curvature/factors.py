"""Factors of diagonal blocks, one for each interaction of a row: what blocks are made of, and what deletions take out.

    B_e = Σ_z w·ℓ''·JJᵀ + λ·deg(e)·I = WᵀW + λ·deg(e)·I,    row z of W is √(w·ℓ'')·J_z

Axes: S listed rows, Z interactions of listed rows, D the most of one row, K columns of a row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from ifru.interactions.table import Int64
from ifru.objective import Linearised


@dataclass(frozen=True)
class Factors:
    """W [Z, K]; listed row s has those from start[s] to start[s + 1]."""

    values: Tensor
    start: Int64

    @property
    def degrees(self) -> Int64:
        """[S]: how many each row has."""
        return np.diff(self.start)

    @property
    def owner(self) -> Tensor:
        """[Z]: the listed row that each belongs to."""
        return torch.from_numpy(np.repeat(np.arange(len(self.start) - 1), self.degrees)).to(self.values.device)

    def padded(self, rows: Int64) -> tuple[Tensor, Tensor, Tensor]:
        """W of some rows [S], padded with zeros to [S, D, K]; mask [S, D] of what is no padding; where that is in W."""
        degrees, place = self.degrees[rows], np.arange(int(self.degrees[rows].max(initial=0)))
        inside = torch.from_numpy(place < degrees[:, None]).to(self.values.device)
        source = torch.from_numpy(self.start[rows, None] + place).to(self.values.device)[inside]
        padded = self.values.new_zeros(*inside.shape, self.values.shape[1])
        padded[inside] = self.values[source]
        return padded, inside, source


def of_rows(point: Linearised, rows: Int64) -> Factors:
    """Factors of all retained interactions of rows [S], ascending."""
    table = point.objective.interactions
    of_users, of_items = (table.kept(table.incidence.of(rows[half])) for half in table.halves(rows))
    start = np.concatenate([[0], np.cumsum(table.degree[rows])])
    return Factors(point.factors(of_users, of_items), start)


def by_chunk(point: Linearised, rows: Int64, chunk_bytes: int = 1 << 26) -> Iterator[tuple[slice, Factors]]:
    """Factors of rows [S], ascending, some consecutive rows at a time; a row of very many interactions comes alone."""
    size = point.objective.interactions.degree[rows] * point.theta.shape[1] * point.theta.element_size()
    chunk = (np.cumsum(size) - size) // chunk_bytes
    for first, last in pairwise([*np.flatnonzero(np.diff(chunk, prepend=-1)), len(rows)]):
        yield slice(first, last), of_rows(point, rows[first:last])
