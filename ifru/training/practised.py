"""Training as practised: Adam on mini-batches, with early stopping on validation rows (Kingma and Ba 2015).

What early stopping finds is a number of epochs; the model is then trained on all rows for so many. That is one run, so
retraining costs no more than it has to.

Axes: R rows, K columns of a row.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor
from torch.nn.functional import embedding

from ifru.errors import DataError
from ifru.interactions import Interactions
from ifru.interactions.table import Int64
from ifru.models import ModelConfig, model_of
from ifru.models.module import ModuleModel
from ifru.models.practice import Practice
from ifru.models.quality import auc, scores
from ifru.objective.losses import loss_of
from ifru.objective.module_score import ModuleScore
from ifru.objective.parameters import Parameters
from ifru.solvers.reason import Reason
from ifru.training.newton import Trained
from ifru.training.report import Report, silent
from ifru.training.validation import SHARE, validation_split

BATCHES = (2048, 8192)
STEPS = (1e-3, 3e-3, 1e-2)
"""Batches and step sizes that are tried, the middle step with the first batch to begin with."""

_FIRST = (BATCHES[0], STEPS[1])
_EPOCHS = 100
_PATIENCE = 3
_SPREAD = 0.1
"""Standard deviation that rows start with."""


@dataclass(frozen=True)
class Validated:
    """The best epoch of a run with early stopping: mean loss and AUC of the validation rows, None where undefined."""

    practice: Practice
    loss: float
    auc: float | None


def fit(
    interactions: Interactions,
    config: ModelConfig,
    *,
    seed: int,
    device: torch.device,
    dtype: torch.dtype,
    report: Report = silent,
) -> Trained:
    """Train on all rows as `config.practice` says, which is tuned where it is not given; deterministic under a seed.

    Raises DataError where the scores do not stay finite.
    """
    model = _of(tuned(interactions, config, seed=seed, device=device, dtype=dtype, report=report))
    practice = cast("Practice", model.config.practice)

    def after(epoch: int, parameters: Parameters) -> bool:
        report("training", epoch / practice.epochs)
        return epoch < practice.epochs

    found = _run(model, interactions, practice.batch, practice.step, seed, device, dtype, after)
    objective, theta = model.objective(interactions, device, dtype), found.stacked()
    return Trained(theta, objective.layout, objective.at(theta).value, math.nan, Reason.EPOCHS, 0)


def tuned(
    interactions: Interactions,
    config: ModelConfig,
    *,
    seed: int,
    device: torch.device,
    dtype: torch.dtype,
    report: Report = silent,
) -> ModelConfig:
    """The configuration with the practice that does best on validation rows; as it is where it has one.

    Every step size is tried with the smallest batch, then larger batches with the best step. Raises DataError where
    none of them leads to finite scores.
    """
    model = _of(config)
    if model.config.practice is not None:
        return config
    fitted, rows = validation_split(interactions, SHARE, seed)
    found: list[Validated] = []

    def attempt(batch: int, step: float) -> None:
        count = len(STEPS) + len(BATCHES) - 1
        report(f"trying batches of {batch:,} with step size {step:g}", len(found) / count)
        found.append(validated(fitted, rows, config, batch, step, seed=seed, device=device, dtype=dtype))

    for step in STEPS:
        attempt(BATCHES[0], step)
    best = min(found, key=lambda each: each.loss).practice
    for batch in BATCHES[1:]:
        attempt(batch, best.step * math.sqrt(batch / BATCHES[0]))
    best = min(found, key=lambda each: each.loss).practice
    return config.model_copy(update={"practice": best})


def validated(
    fitted: Interactions,
    rows: Int64,
    config: ModelConfig,
    batch: int = _FIRST[0],
    step: float = _FIRST[1],
    *,
    seed: int,
    device: torch.device,
    dtype: torch.dtype,
) -> Validated:
    """Train until the loss of validation rows, which are deleted from `fitted`, has not fallen for some epochs.

    Raises DataError where the scores are not finite after the first one.
    """
    model, loss, user, item = _of(config), loss_of(config.loss), fitted.user[rows], fitted.item[rows]
    label, best = fitted.label[rows], Validated(Practice(batch=batch, step=step, epochs=1), math.inf, None)

    def after(epoch: int, parameters: Parameters) -> bool:
        nonlocal best
        score = scores(config, model.serving(parameters, fitted), user, item)
        mean = float(loss.value(torch.from_numpy(score), torch.from_numpy(label)).mean())
        if mean < best.loss:
            best = Validated(best.practice.model_copy(update={"epochs": epoch}), mean, auc(score, label))
        return epoch < _EPOCHS and epoch < best.practice.epochs + _PATIENCE

    _run(model, fitted, batch, step, seed, device, dtype, after)
    if not math.isfinite(best.loss):
        raise DataError(
            f"training {config.name} with batches of {batch} and step size {step:g} leads to scores that are not "
            "finite; look for divisions, logarithms and square roots in the module"
        )
    return best


def _of(config: ModelConfig) -> ModuleModel:
    return cast("ModuleModel", model_of(config))


def _run(
    model: ModuleModel,
    interactions: Interactions,
    batch: int,
    step: float,
    seed: int,
    device: torch.device,
    dtype: torch.dtype,
    after: Callable[[int, Parameters], bool],
) -> Parameters:
    """Epochs until `after`, which is told how many there were, says that it is enough. Rows without data are zero."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        module, config = model.config.build().to(device, dtype), model.config
        ModuleScore.of(module, config.title, device, dtype)
        data = _Data.of(interactions, device, dtype)
        random = torch.Generator().manual_seed(seed)
        tables = [_started(degree, config.rank, random) for degree in data.degrees]
        shared = dict(module.named_parameters())
        optimiser = torch.optim.Adam([*tables, *shared.values()], step, fused=True)
        loss, shared_l2 = loss_of(config.loss), config.shared_l2 / len(data.user)
        epoch, more = 0, True
        while more:
            for part in torch.split(torch.randperm(len(data.user), generator=random).to(device), batch):
                user, item = data.user[part], data.item[part]
                rows = [embedding(user, tables[0]), embedding(item, tables[1])]
                score = module(*rows, *data.features_of(user, item))
                penalty = config.l2 / 2 * sum(each.square().sum() for each in rows)
                total = (data.weight[part] * loss.value(score, data.label[part])).sum() + penalty
                of_shared = shared_l2 / 2 * sum(each.square().sum() for each in shared.values())
                optimiser.zero_grad()
                torch.autograd.backward(total / len(part) + of_shared)
                optimiser.step()
            epoch += 1
            found = Parameters.of(*(table.detach() for table in tables))
            found = Parameters(found.tables, {name: each.detach() for name, each in shared.items()})
            more = after(epoch, found)
        return found


@dataclass(frozen=True)
class _Data:
    """Retained interactions [N]. degrees, features: of users and of items."""

    user: Tensor
    item: Tensor
    label: Tensor
    weight: Tensor
    degrees: tuple[Tensor, Tensor]
    features: tuple[Tensor | None, Tensor | None]

    @staticmethod
    def of(interactions: Interactions, device: torch.device, dtype: torch.dtype) -> _Data:
        kept, known = interactions.columns(), interactions.features
        user, item = (torch.from_numpy(side).to(device).long() for side in (kept.user, kept.item))
        label, weight, of_user, of_item = (
            torch.from_numpy(each).to(device, dtype)
            for each in (kept.label, kept.weight, interactions.user_degree, interactions.item_degree)
        )
        features = (
            torch.from_numpy(known[side]).to(device, dtype) if side in known else None for side in ("user", "item")
        )
        return _Data(user, item, label, weight, (of_user, of_item), (next(features), next(features)))

    def features_of(self, user: Tensor, item: Tensor) -> tuple[Tensor | None, Tensor | None]:
        of_user, of_item = self.features
        return None if of_user is None else of_user[user], None if of_item is None else of_item[item]


def _started(degree: Tensor, columns: int, random: torch.Generator) -> Tensor:
    """Rows to begin with, the same on every device."""
    rows = _SPREAD * torch.randn(len(degree), columns, generator=random, dtype=torch.float64)
    rows = rows.to(degree)
    rows[degree == 0] = 0
    return rows.requires_grad_()
