"""One model and its answers, beside models that are retrained as practised."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

import numpy as np
import torch

from benchmarks.base import CPU
from benchmarks.cases import NOTHING, drawn, recorded
from ifru.engine.engine import Engine
from ifru.engine.settings import EngineSettings
from ifru.evaluation.beside import Beside, beside, retrained
from ifru.evaluation.verify import Published, Task
from ifru.interactions import Dataset, Deletion
from ifru.training import Report, TrainedModel

_REPEATS = 3
"""Of the first batch, each on an engine of its own; the median counts."""


@dataclass(frozen=True)
class Plan:
    """rows: of a batch. batches: in a row. retrains: models that each deletion is held against. clock: in seconds."""

    rows: int
    batches: int
    retrains: int
    support: str
    seed: int
    clock: Callable[[], float]


@dataclass(frozen=True)
class Held:
    """What was answered, and how it is beside retrained models."""

    name: str
    beside: Beside


def measure(trained: TrainedModel, dataset: Dataset, plan: Plan, report: Report) -> list[Held]:
    """One batch, as answered and as refined; then, where there are several, all of them in a row, and refined."""
    random = np.random.default_rng(plan.seed)
    rows = drawn(recorded(dataset.train), plan.rows * plan.batches, random)
    batches = [Deletion(dataset.train.with_companions(part), NOTHING) for part in np.split(rows, plan.batches)]
    settings = EngineSettings.model_validate({"support": plan.support})
    task = Task(trained.config, settings, False, CPU, torch.float32, plan.clock, report)
    found = list(_compared(task, trained, dataset, batches[:1], plan))
    return found + (list(_compared(task, trained, dataset, batches, plan)) if plan.batches > 1 else [])


def _compared(
    task: Task, trained: TrainedModel, dataset: Dataset, batches: list[Deletion], plan: Plan
) -> Iterator[Held]:
    """The answers to some batches, and what a refinement makes of them."""
    name = f"{len(batches)} batch{'es in a row' * (len(batches) > 1)}"
    left, deletion = dataset.copy(), Deletion.union(batches)
    left.delete(deletion)
    again = retrained(task, left.train, plan.retrains, plan.seed)
    for refined, suffix in ((False, ""), (True, ", refined")):
        task.report(f"{name}{suffix}", None)
        published = _published(task, trained, dataset, batches, refined)
        held = beside(task.config, trained.parameters, dataset, deletion, published, again, plan.seed)
        yield Held(f"{name}{suffix}", held)


def _published(
    task: Task, trained: TrainedModel, dataset: Dataset, batches: list[Deletion], refined: bool
) -> Published:
    """products: of the batch that took most. update, settle: of a batch, in the median."""
    spent, products = [], 0
    for _ in range(_REPEATS if len(batches) == 1 and not refined else 1):
        engine = Engine(task.config, trained.parameters, dataset.copy(), task.settings, task.device)
        for batch in batches:
            marks = [task.clock()]
            update = engine.apply(batch)
            marks.append(task.clock())
            settled = engine.settle()
            marks.append(task.clock())
            spent.append(marks)
            products = max(products, update.iterations)
    seconds = 0.0
    if refined:
        start = task.clock()
        more = engine.refine()
        seconds, settled = task.clock() - start, engine.settle()
        products = 0 if more is None else more.iterations
    update_seconds, settle_seconds = (median(each[at + 1] - each[at] for each in spent) for at in (0, 1))
    return Published(
        parameters=engine.parameters,
        method=update.method,
        reason=update.reason,
        products=products,
        residual_influence=update.influence,
        settled_influence=settled.influence,
        update=update_seconds,
        settle=settle_seconds,
        refine=seconds,
    )
