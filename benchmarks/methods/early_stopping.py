"""Stopping where a figure has not risen for a while."""

from __future__ import annotations

import math


class EarlyStopping:
    """patience: looks without a new best that are allowed."""

    def __init__(self, patience: int) -> None:
        self._patience = patience
        self._since = 0
        self.best = -math.inf

    def improves(self, figure: float) -> bool:
        """Take in the next figure; whether it is the best so far."""
        better = figure > self.best
        self.best = max(self.best, figure)
        self._since = 0 if better else self._since + 1
        return better

    @property
    def over(self) -> bool:
        return self._since > self._patience
