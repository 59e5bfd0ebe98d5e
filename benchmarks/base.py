"""The trained model that everything starts from.

Axes: R rows, K columns of a row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from benchmarks.kept import Kept
from benchmarks.setups import Setup
from ifru.interactions import Dataset, Interactions
from ifru.interactions.table import Int64
from ifru.models import ModelConfig, model_of
from ifru.models.proving import prove
from ifru.objective.parameters import Parameters
from ifru.training import L2_GRID, Plan, Report, fit, minimise, select, silent
from ifru.training.practised import tuned

CPU = torch.device("cpu")


@dataclass(frozen=True, eq=False)
class Base:
    """A stationary model with its data.

    theta [R, K]: in float64, users first; as training leaves it, where models of its kind have no unique target.
    relative_gap: proven distance of its objective to the optimum; the smaller, the more surely 'the retrained model'
    means one thing; None where no proof is known. tried: AUC by λ, where λ was chosen by validation.
    validation, test: positions of the held-out rows that methods may stop by, and of those that are measured on.
    """

    name: str
    config: ModelConfig
    dataset: Dataset
    theta: Tensor
    stationary: float
    relative_gap: float | None
    tried: dict[float, float]
    validation: Int64
    test: Int64

    @property
    def train(self) -> Interactions:
        return self.dataset.train

    def served(self, theta: Tensor, train: Interactions) -> Tensor:
        """The rows [R, K] whose dot products are scores, from θ [R, K] and the training rows that it goes with."""
        return model_of(self.config).serving(self.parameters(theta), train).stacked()

    def parameters(self, theta: Tensor) -> Parameters:
        """Views into θ [R, K]."""
        return model_of(self.config).layout(self.train.users, self.train.items).parameters(theta)


def trained(name: str, setup: Setup, dataset: Dataset, seed: int, kept: Kept, report: Report = silent) -> Base:
    """Train a setup's model on a data set to a stationary point in float64; deterministic under a seed."""
    config, tried = _configured(setup, dataset, seed, kept, report)
    train = dataset.train
    if model_of(config).capabilities.response:
        config = tuned(train, config, seed=seed, device=CPU, dtype=torch.float32, report=report)

    def compute() -> Tensor:
        return from_scratch(train, config, setup.stationary, seed, report)

    table = (train.user, train.item, train.label)
    theta = kept.tensor(("base", config, setup.stationary, seed, *table), compute)
    base = Base(name, config, dataset, theta, setup.stationary, None, tried, *_halves(dataset.holdout, seed))
    if not model_of(config).capabilities.provable:
        return base
    report("proving", None)
    proof = prove(base.parameters(theta), train, config, random=torch.Generator().manual_seed(seed))
    return replace(base, relative_gap=proof.relative_gap)


def from_scratch(
    interactions: Interactions, config: ModelConfig, tolerance: float, seed: int, report: Report = silent
) -> Tensor:
    """θ [R, K], trained to a stationary point in float64, where a model has one; deterministic under a seed."""
    near = fit(interactions, config, seed=seed, device=CPU, dtype=torch.float32, report=report).theta
    if not model_of(config).capabilities.unique_target:
        return near.double()
    report("making it exact", None)
    return stationary(interactions, config, near, tolerance)


def scratch(base: Base, retained: Interactions, deleted: Int64, seed: int, kept: Kept) -> Tensor:
    """θ [R, K], trained from scratch in float64, as `ifru train` does, on what a deletion of training rows leaves."""
    depends = ("scratch", base.config, seed, base.theta.numpy(), deleted)
    return kept.tensor(depends, lambda: fit(retained, base.config, seed=seed, device=CPU, dtype=torch.float64).theta)


def stationary(interactions: Interactions, config: ModelConfig, theta: Tensor, tolerance: float) -> Tensor:
    """θ [R, K] brought to a stationary point in float64, from near one."""
    objective = model_of(config).objective(interactions, CPU, torch.float64)
    return minimise(objective, theta.double(), Plan(sweeps=0, tolerance=tolerance)).theta


def _configured(
    setup: Setup, dataset: Dataset, seed: int, kept: Kept, report: Report
) -> tuple[ModelConfig, dict[float, float]]:
    """The configuration, and the AUC of each λ that was tried."""
    if setup.l2 is not None:
        return setup.model(rank=setup.rank, l2=setup.l2), {}
    candidates = [setup.model(rank=setup.rank, l2=l2) for l2 in L2_GRID]
    train = dataset.train

    def compute() -> Tensor:
        found = select(train, candidates, seed, CPU, torch.float32, lambda at: report(f"trying λ = {at.l2:g}", None))
        return torch.tensor([(config.l2, auc) for config, auc in found.tried], dtype=torch.float64)

    table = kept.tensor(("λ", *candidates, seed, train.user, train.item, train.label), compute)
    tried = {float(l2): float(auc) for l2, auc in table}
    return setup.model(rank=setup.rank, l2=max(tried, key=lambda l2: tried[l2])), tried


def _halves(holdout: Interactions, seed: int) -> tuple[Int64, Int64]:
    """The held-out rows in two random halves; sampled negatives stay with their positive."""
    recorded = np.flatnonzero(holdout.recorded)
    shuffled = np.random.default_rng(seed).permutation(recorded)
    middle = len(shuffled) // 2
    return holdout.with_companions(shuffled[:middle]), holdout.with_companions(shuffled[middle:])
