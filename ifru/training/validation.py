"""Rows that are kept from training to tell what generalises."""

from __future__ import annotations

import numpy as np

from ifru.interactions import Interactions
from ifru.interactions.table import Int64

SHARE = 0.1


def validation_split(train: Interactions, share: float, seed: int) -> tuple[Interactions, Int64]:
    """The training rows without a share of the recorded ones and their negatives; and the positions of those."""
    recorded = np.flatnonzero(train.alive & train.recorded)
    chosen = np.random.default_rng(seed).permutation(recorded)[: round(share * len(recorded))]
    rows = train.with_companions(chosen)
    fitted = train.copy()
    fitted.delete(rows)
    return fitted, rows
