"""The curvature cache: inverses of diagonal blocks, built when they are first needed and rebuilt when they drift.

Axes: R rows, S listed rows, C places in the cache, K columns of a row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ifru.curvature import apply, inverse_blocks
from ifru.interactions.table import Int64
from ifru.objective import Objective, Slopes

DRIFT = 0.05
"""A block is rebuilt when so large a share of its inputs has changed since it was built."""


@dataclass
class Counters:
    """Rows that were served from the cache, built anew, rebuilt after drift, and pushed out by the budget."""

    hits: int = 0
    misses: int = 0
    rebuilds: int = 0
    evictions: int = 0


class CurvatureCache:
    """B_e⁻¹ for as many rows as the budget holds.

    A cached block holds traces of what its row was computed from, so deletions and moves are reported to it
    (`drifted`); rows that drifted too far, or that the budget pushed out, are built again when they are next needed.
    """

    def __init__(self, objective: Objective, width: int, budget_bytes: int) -> None:
        rows = len(objective.ridge)
        per_row = width * width * objective.ridge.element_size()
        self.capacity = max(min(rows, budget_bytes // per_row), 1)
        self.counters = Counters()
        self._objective = objective
        self._blocks = torch.empty((self.capacity, width, width), dtype=objective.dtype, device=objective.device)
        self._place: Int64 = np.full(rows, -1, dtype=np.int64)
        self._owner: Int64 = np.full(self.capacity, -1, dtype=np.int64)
        self._used: Int64 = np.zeros(self.capacity, dtype=np.int64)
        self._drift = np.zeros(rows)
        self._tick = 0

    def fits(self, rows: int) -> bool:
        """Whether the inverses of so many rows fit the budget at once."""
        return rows <= self.capacity

    def inverses(self, theta: Tensor, slopes: Slopes, rows: Tensor) -> Tensor:
        """B⁻¹ [S, K, K] of rows, ascending and unique; built at θ where they are not cached."""
        numbers = rows.cpu().numpy()
        self._tick += 1
        if not self.fits(len(numbers)):
            self.counters.misses += len(numbers)
            return inverse_blocks(self._objective, theta, slopes, rows)
        known = self._place[numbers] >= 0
        drifted = known & (self._drift[numbers] > DRIFT)
        missing = numbers[~known]
        self.counters.hits += int(known.sum() - drifted.sum())
        self.counters.rebuilds += int(drifted.sum())
        self.counters.misses += len(missing)
        self._used[self._place[numbers[known]]] = self._tick
        if len(missing):
            self._make_room(missing)
        build = np.union1d(missing, numbers[drifted])
        if len(build):
            fresh = inverse_blocks(self._objective, theta, slopes, torch.from_numpy(build).to(rows.device))
            self._blocks[torch.from_numpy(self._place[build]).to(rows.device)] = fresh
            self._drift[build] = 0
        places = self._place[numbers]
        if len(places) == self.capacity and bool((places == np.arange(len(places))).all()):
            return self._blocks
        return self._blocks[torch.from_numpy(places).to(rows.device)]

    def energies(self, theta: Tensor, slopes: Slopes, rows: Tensor, debt: Tensor) -> Tensor:
        """r_e·B_e⁻¹ r_e [S], in float64, of the debt [S, K] of rows."""
        parts = [
            (part * apply(self.inverses(theta, slopes, some), part)).sum(1, dtype=torch.float64)
            for some, part in zip(torch.split(rows, self.capacity), torch.split(debt, self.capacity), strict=True)
        ]
        return torch.cat(parts) if parts else torch.empty(0, dtype=torch.float64, device=debt.device)

    def drifted(self, rows: Int64, share: NDArray[np.float64] | float) -> None:
        """A share of the inputs of rows' blocks [S] has changed: one for all, or one each [S]."""
        self._drift[rows] += share

    def _make_room(self, missing: Int64) -> None:
        """Give every missing row a place, taking those that were used longest ago."""
        places = np.argsort(self._used, kind="stable")[: len(missing)]
        places.sort()
        former = self._owner[places]
        gone = former[former >= 0]
        self.counters.evictions += len(gone)
        self._place[gone] = -1
        self._owner[places] = missing
        self._place[missing] = places
        self._used[places] = self._tick
