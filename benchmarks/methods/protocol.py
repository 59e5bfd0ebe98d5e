"""What every method is: from a case and a budget to points in time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor

from benchmarks.cases import Case
from benchmarks.timing import Clock
from ifru.training import Report, silent


@dataclass(frozen=True)
class Point:
    """Where a method stands after some seconds.

    seconds: what the method has taken from the deletion on, without what measuring it takes.
    theta [R, K]: scores are dot products of its rows, users first.
    curve: what one line of the plot stands for. label: which point of it this is.
    settle: seconds that the method works on after its answer is out.
    """

    seconds: float
    theta: Tensor
    curve: str
    label: str
    settle: float | None = None


@dataclass(frozen=True)
class Budget:
    """How much work a method may make.

    seconds: a curve ends with its first point past them. repeats: of what takes less than a second, for the median.
    coarse: few settings and few points.
    """

    seconds: float = 120.0
    repeats: int = 7
    coarse: bool = False
    clock: Clock = time.perf_counter
    report: Report = silent


Method = Callable[[Case, Budget], Iterator[Point]]
"""run(case, budget): points, each as soon as it is reached. A curve's points come in the order of their seconds."""
