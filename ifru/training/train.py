"""From a data set to a model that is ready for unlearning, or to the reason why it is not.

Axes: R rows, K columns of a row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from ifru.errors import DataError
from ifru.interactions import Dataset, Interactions
from ifru.models import ModelConfig, model_of
from ifru.models.module import ModuleFamilyConfig
from ifru.models.practice import Practice
from ifru.models.proving import prove
from ifru.models.quality import holdout_auc
from ifru.objective.parameters import Parameters
from ifru.proof import Proof
from ifru.solvers.pcg import never
from ifru.training import practised
from ifru.training.accuracy import POLISHED, PROVEN, TOLERANCES
from ifru.training.calibration import calibrated
from ifru.training.newton import Plan, Trained, initial, minimise
from ifru.training.rank import Tried, grown, objectives
from ifru.training.report import DescentReport, Report, silent
from ifru.training.selection import Selection, select

C = TypeVar("C", bound=ModelConfig)


@dataclass(frozen=True)
class TrainedModel:
    """A model with all that is known about its training.

    proof: of how near the optimum it is; None where no proof is known for models of its kind.
    auc: on the held-out rows; None where they hold no two different labels. selection: how the configuration was
    chosen; None where there was no choice. ranks: those that were tried, in order; none where the rank was given.
    """

    config: ModelConfig
    trained: Trained
    proof: Proof | None
    auc: float | None
    selection: Selection | None
    ranks: tuple[Tried, ...]

    @property
    def parameters(self) -> Parameters:
        """The trained ones."""
        return self.trained.parameters

    @property
    def practice(self) -> Practice | None:
        """How it was trained, where that was by mini-batches."""
        return self.config.practice if isinstance(self.config, ModuleFamilyConfig) else None

    @property
    def ready(self) -> bool:
        """Whether 'the model retrained on what is left' means one thing, so that unlearning has a target."""
        return self.proof is not None and self.proof.relative_gap <= PROVEN[self.parameters.user.dtype]

    @property
    def verdict(self) -> str:
        """'proven optimal', or what is in the way and what to do about it."""
        if self.proof is None:
            return "no proof is known for models of this kind; ifru verify measures how near an update is to retraining"
        if self.ready:
            return "proven optimal"
        gap = f"not ready for unlearning: the relative gap to the optimum is {self.proof.relative_gap:.1e}"
        if self.trained.reason == "steps":
            return f"{gap}, since training ran out of steps; train in float64 or with a larger --l2"
        if self.proof.sigma_over_lambda > 1:
            if self.ranks:
                return f"{gap}, since the optimum needs more than {self.config.rank} dimensions; raise --l2"
            return f"{gap}, since the optimum needs more dimensions; raise --rank or --l2, or let --rank auto find out"
        return f"{gap}; train in float64"


def train(
    dataset: Dataset,
    candidates: Sequence[ModelConfig],
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float64,
    grow: bool = False,
    report: Report = silent,
) -> TrainedModel:
    """Train the best of the candidates on all training rows and prove how good it is; deterministic under a seed.

    grow: raise the rank of the best candidate until the proof closes; a model without a proof keeps its rank.
    Raises DataError for data that the models cannot be trained on.
    """
    check_labels(dataset, candidates[0])
    device, selection = torch.device(device), None
    if len(candidates) > 1:
        tried = iter(range(len(candidates)))
        selection = select(
            dataset.train,
            candidates,
            seed,
            device,
            dtype,
            lambda config: report(f"trying λ = {config.l2:g}", next(tried) / len(candidates)),
        )
    config = candidates[0] if selection is None else selection.config
    proof: Proof | None
    ranks: tuple[Tried, ...] = ()
    if grow and model_of(config).capabilities.provable:
        found = grown(dataset.train, config, seed=seed, device=device, dtype=dtype, report=report)
        config, trained, proof, ranks = found.config, found.trained, found.proof, found.tried
    else:
        if model_of(config).capabilities.response:
            config = practised.tuned(dataset.train, config, seed=seed, device=device, dtype=dtype, report=report)
        trained = fit(dataset.train, config, seed=seed, device=device, dtype=dtype, report=report)
        config = with_damping(config, trained.parameters, dataset, seed, device, dtype, report)
        proof = _proof(dataset.train, config, trained, seed, report)
    auc = holdout_auc(config, trained.parameters, dataset)
    return TrainedModel(config, trained, proof, auc, selection, ranks)


def with_damping(
    config: C,
    parameters: Parameters,
    dataset: Dataset,
    seed: int,
    device: torch.device,
    dtype: torch.dtype,
    report: Report = silent,
) -> C:
    """The configuration with the damping of updates of trained parameters, where it is a module's: calibrated."""
    if not isinstance(config, ModuleFamilyConfig):
        return config
    report("calibrating", None)

    def again(left: Interactions) -> Parameters:
        return fit(left, config, seed=seed, device=device, dtype=dtype).parameters

    return calibrated(config, parameters, dataset, again, seed)


def _proof(
    interactions: Interactions, config: ModelConfig, trained: Trained, seed: int, report: Report
) -> Proof | None:
    if not model_of(config).capabilities.provable:
        return None
    report("proving", None)
    return prove(trained.parameters, interactions, config, random=torch.Generator().manual_seed(seed))


def fit(
    interactions: Interactions,
    config: ModelConfig,
    *,
    seed: int,
    device: torch.device,
    dtype: torch.dtype,
    report: Report = silent,
    start: Tensor | None = None,
    what: str = "training",
) -> Trained:
    """Train from scratch; deterministic under a seed. To a stationary point of the precision, where a model has one.

    start [R, K]: where such a model goes on from in place of a random point; its rows without interactions become
    zero. what: it is reported as.
    """
    if model_of(config).capabilities.response:
        return practised.fit(interactions, config, seed=seed, device=device, dtype=dtype, report=report)
    objective = model_of(config).objective(interactions, device, dtype)
    if start is None:
        plan, theta = Plan(tolerance=TOLERANCES[dtype]), initial(objective, seed)
    else:
        plan, theta = Plan(sweeps=0, tolerance=TOLERANCES[dtype]), start.to(device, dtype, copy=True)
        theta[objective.ridge == 0] = 0
    return minimise(objective, theta, plan, DescentReport(plan, report, what))


def polish(
    interactions: Interactions,
    config: ModelConfig,
    theta: Tensor,
    stop: Callable[[], bool] = never,
    budget_bytes: float = math.inf,
    report: Report = silent,
    what: str = "training, in float64",
) -> Trained:
    """Bring θ [R, K] to a stationary point in float64, from near one: what a comparison takes as the truth.

    budget_bytes: of the inverse blocks; with less than all of them it takes longer. what: it is reported as.
    """
    objective, narrow = objectives(interactions, config, theta.device, torch.float64)
    plan = Plan(sweeps=0, tolerance=POLISHED, budget_bytes=budget_bytes)
    return minimise(objective, theta.double(), plan, DescentReport(plan, report, what), stop, narrow)


def check_labels(dataset: Dataset, config: ModelConfig) -> None:
    """Raises DataError where there is nothing to learn, or where the loss has no meaning for the labels."""
    label = dataset.train.label[dataset.train.alive]
    if len(label) == 0:
        raise DataError("there are no rows to train on; lower --holdout, or check the data")
    low, high = float(label.min()), float(label.max())
    if low == high and not model_of(config).capabilities.positives_only:
        raise DataError(
            f"all {len(label):,} rows to train on have the label {low:g}, so nothing can be learnt from them; use a "
            "rule that tells rows apart, like --label 'rating>=3', or --label positive:1 where every row is a positive"
        )
    if config.loss == "bce" and not 0 <= low <= high <= 1:
        raise DataError(
            f"labels go from {low:g} to {high:g}, and the loss bce takes labels from 0 to 1; "
            "use --loss squared, or a rule like --label 'rating>=4'"
        )
    if config.loss == "bpr":
        _check_negatives(dataset)


def _check_negatives(dataset: Dataset) -> None:
    """Raises DataError where a row has nothing to be compared with, though there is an item that its user never met."""
    train, met = dataset.train, np.zeros(dataset.train.users, dtype=np.int64)
    rows = [table.recorded & table.alive for table in (train, dataset.holdout)]
    tables = list(zip((train, dataset.holdout), rows, strict=True))
    pairs = np.concatenate(
        [table.user[some].astype(np.int64) * train.items + table.item[some] for table, some in tables]
    )
    np.add.at(met, np.unique(pairs) // max(train.items, 1), 1)
    compared = np.zeros(len(train), dtype=bool)
    compared[train.origin[train.alive & ~train.recorded]] = True
    alone = rows[0] & ~compared & (met[train.user] < train.items)
    if alone.any():
        raise DataError(
            f"{int(alone.sum()):,} of {int(rows[0].sum()):,} recorded rows to train on have no sampled negative, and "
            "the loss bpr compares each with at least one; use --label positive:1, which takes every row as a positive "
            "and draws a negative for each (positive:4 draws four), or another loss"
        )
