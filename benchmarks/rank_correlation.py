"""Spearman's rank correlation.

Axes: n observations.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def spearman(x: NDArray[np.floating], y: NDArray[np.floating]) -> float | None:
    """The correlation of the ranks of x and y [n], equal values sharing a rank; None where all of one are equal."""
    of_x, of_y = _ranks(x), _ranks(y)
    scale = float(np.sqrt((of_x @ of_x) * (of_y @ of_y)))
    return float(of_x @ of_y) / scale if scale > 0 else None


def _ranks(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Ranks [n] about their mean."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    rank: NDArray[np.float64] = (np.cumsum(count) - (count - 1) / 2)[place.reshape(-1)]
    return rank - (len(values) + 1) / 2
