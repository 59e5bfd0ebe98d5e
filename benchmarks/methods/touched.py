"""Touched rows only, as in SCIF: one block-diagonal Newton step of the rows that lose interactions.

Axes: T touched rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor

from benchmarks.base import CPU
from benchmarks.cases import Case
from benchmarks.methods.protocol import Budget, Point
from benchmarks.timing import repeated
from ifru.curvature.preconditioner import apply, inverse_blocks
from ifru.models import model_of
from ifru.objective.pairwise import PairwisePoint


def run(case: Case, budget: Budget) -> Iterator[Point]:
    """One point. The slopes of the retained interactions are at hand; the touched rows' blocks are not."""
    objective = model_of(case.base.config).objective(case.retained, CPU, torch.float32)
    touched, start = case.touched, case.start(torch.float32)
    point = cast("PairwisePoint", objective.at(start))

    def stepped(theta: Tensor) -> Tensor:
        theta[touched] -= apply(inverse_blocks(point, touched), point.gradient_of(touched))
        return theta

    theta, seconds = repeated(budget.clock, budget.repeats, start.clone, stepped)
    yield Point(seconds, theta, "touched rows only (SCIF)", "one block step")
