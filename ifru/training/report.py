"""Telling people how far training has come."""

from __future__ import annotations

import math
from collections.abc import Callable

from ifru.training.newton import Plan, Progress

Report = Callable[[str, float | None], None]
"""Told what is going on, and which share of it is done, where that is known."""


def silent(what: str, share: float | None) -> None:
    """A report that nobody reads."""


class DescentReport:
    """How far the gradient has come down from where it started, on a logarithmic scale."""

    def __init__(self, plan: Plan, report: Report, what: str = "training") -> None:
        self._plan = plan
        self._report = report
        self._what = what
        self._first: float | None = None

    def __call__(self, progress: Progress) -> None:
        target = self._plan.tolerance * math.sqrt(progress.objective)
        norm = progress.gradient_norm
        if not norm > target > 0:
            self._report(self._what, 1.0 if norm <= target else 0.0)
            return
        self._first = self._first or norm
        # A step that lowers L may raise its gradient.
        whole, done = math.log(self._first / target), math.log(self._first / norm)
        self._report(self._what, max(done / whole, 0.0) if whole > 0 else 0.0)
