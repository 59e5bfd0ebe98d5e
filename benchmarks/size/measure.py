"""What the engine takes for the same batch at one size, and what its trainer takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import torch
from torch import Tensor

from benchmarks.base import CPU
from benchmarks.cases import NOTHING, drawn
from benchmarks.engines import settings
from benchmarks.kept import Kept
from benchmarks.memory import held, peak, resident, restart_peak
from benchmarks.size.grown import grown
from benchmarks.timing import Clock
from ifru.engine.engine import Engine
from ifru.interactions import Dataset, Deletion
from ifru.models import MFConfig
from ifru.objective.parameters import Parameters
from ifru.training import Report, fit, silent

CONFIG = MFConfig(rank=16, l2=0.1)
"""The model, the same at all sizes."""

_SCRATCH_SEED = 1


@dataclass(frozen=True)
class Answers:
    """What an engine with one support took; all figures but the build-up's are medians over batches.

    build_up: seconds from tables and data to an engine that waits. apply, settle: seconds of one batch.
    read, read_settling: interactions read by either. methods: how the batches were answered.
    own_debt: debt of the base, which is not quite stationary, as a share of the debt with the first batch added.
    influence: exact, after settling. held: bytes of the engine. resident, peak: bytes of the process with the engine
    at work, and at most since it was built.
    """

    support: str
    build_up: float
    apply: float
    settle: float
    read: float
    read_settling: float
    methods: tuple[str, ...]
    own_debt: float
    influence: float
    held: int
    resident: int | None
    peak: int | None


@dataclass(frozen=True)
class Scratch:
    """Seconds of training from scratch. measured: whether it was done, or follows from a smaller size."""

    seconds: float
    measured: bool


@dataclass(frozen=True)
class Size:
    """All that was measured at one size. rows: of both parameter tables."""

    interactions: int
    users: int
    items: int
    scratch: Scratch
    answers: tuple[Answers, ...]

    @property
    def rows(self) -> int:
        return self.users + self.items


@dataclass(frozen=True)
class Asked:
    """batch: random interactions in one. batches: of that size, one after the other.

    patience: seconds that training from scratch may take by what smaller sizes took; else it is not done.
    """

    supports: Sequence[str]
    tolerance: float
    batch: int
    batches: int
    patience: float
    seed: int


def measure(
    sizes: Sequence[int], asked: Asked, kept: Kept, report: Report = silent, clock: Clock = time.perf_counter
) -> list[Size]:
    """Every size, in ascending order. Raises IfruError for settings that are not allowed."""
    found: list[Size] = []
    for place, interactions in enumerate(sorted(sizes)):
        tell = _telling(report, f"{interactions:,} interactions: ", place / len(sizes))
        found.append(_size(interactions, asked, kept, tell, clock, found[-1] if found else None))
    return found


def _size(
    interactions: int, asked: Asked, kept: Kept, tell: Callable[[str], None], clock: Clock, smaller: Size | None
) -> Size:
    tell("generating")
    dataset = grown(interactions, asked.seed)
    tell("training")
    depends = ("size", CONFIG, asked.seed, dataset.train.user, dataset.train.item, dataset.train.label)
    theta = kept.tensor(depends, lambda: _trained(dataset, asked.seed))
    batches = _batches(dataset, asked)
    answers = []
    for support in asked.supports:
        tell(f"support {support}")
        answers.append(_answers(dataset, theta, batches, support, asked.tolerance, clock))
    tell("training from scratch")
    scratch = _scratch(dataset, batches[0], asked.patience, clock, smaller)
    return Size(interactions, dataset.train.users, dataset.train.items, scratch, tuple(answers))


def _answers(
    dataset: Dataset, theta: Tensor, batches: Sequence[Deletion], support: str, tolerance: float, clock: Clock
) -> Answers:
    own = dataset.copy()
    restarted = restart_peak()
    start = clock()
    engine = Engine(CONFIG, Parameters.unstacked(theta, own.train.users), own, settings(support, tolerance))
    build_up = clock() - start
    unasked = engine.state.total_decrement
    first_debt = 0.0
    apply, settle, read, read_settling, methods, influence = [], [], [], [], [], []
    for batch in batches:
        start = clock()
        update = engine.apply(batch)
        applied = clock()
        settled = engine.settle()
        settle.append(clock() - applied)
        apply.append(applied - start)
        read.append(update.interactions_read)
        read_settling.append(settled.interactions_read)
        methods.append(update.method)
        influence.append(settled.influence)
        first_debt = first_debt or engine.carried.batch
    return Answers(
        support=support,
        build_up=build_up,
        apply=median(apply),
        settle=median(settle),
        read=median(read),
        read_settling=median(read_settling),
        methods=tuple(sorted(set(methods))),
        own_debt=float(np.sqrt(unasked / first_debt)),
        influence=median(influence),
        held=held(engine),
        resident=resident(),
        peak=peak() if restarted else None,
    )


def _batches(dataset: Dataset, asked: Asked) -> list[Deletion]:
    """Random interactions, none in two batches."""
    rows = drawn(np.arange(len(dataset.train)), asked.batch * asked.batches, np.random.default_rng(asked.seed))
    return [Deletion(np.sort(part), NOTHING) for part in np.split(rows, asked.batches)]


def _scratch(dataset: Dataset, batch: Deletion, patience: float, clock: Clock, smaller: Size | None) -> Scratch:
    """Training on what a batch leaves; in proportion to a smaller size's where that is too long to wait for."""
    if smaller is not None:
        expected = smaller.scratch.seconds * len(dataset.train) / smaller.interactions
        if expected > patience or not smaller.scratch.measured:
            return Scratch(expected, measured=False)
    retained = dataset.copy()
    retained.train.delete(batch.train)
    start = clock()
    _trained(retained, _SCRATCH_SEED)
    return Scratch(clock() - start, measured=True)


def _trained(dataset: Dataset, seed: int) -> Tensor:
    """θ [R, K] as `ifru train` finds it in float32."""
    return fit(dataset.train, CONFIG, seed=seed, device=CPU, dtype=torch.float32).theta


def _telling(report: Report, prefix: str, done: float) -> Callable[[str], None]:
    return lambda what: report(prefix + what, done)
