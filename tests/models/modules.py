"""Configurations and parameters of a user's own module, and data for it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ifru.interactions import Dataset
from ifru.interactions.generated import generate
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import split
from ifru.models import model_of
from ifru.models.factory import use_module
from ifru.models.module import ModuleConfig, ModuleFamilyConfig
from ifru.objective.module import ModuleObjective
from ifru.objective.parameters import Parameters
from tests.models.scored import FEATURES, WIDTH

CPU = torch.device("cpu")


def module_config(factory: str = "make", **others: object) -> ModuleConfig:
    named = f"tests.models.scored:{factory}"
    use_module(named)
    return ModuleConfig.model_validate({"factory": named, "columns": {"embedding": WIDTH}, "l2": 0.1, **others})


def ratings(users: int = 60, items: int = 40, rows: int = 600, features: bool = False) -> Dataset:
    dataset = split(generate(users, items, rows, seed=3), LabelRule.parse("rating>=4"), 0.2, seed=0)
    if features:
        source = np.random.default_rng(0)
        for side, count in (("user", dataset.train.users), ("item", dataset.train.items)):
            dataset.train.features[side] = source.normal(size=(count, FEATURES)).astype(np.float32)
    return dataset


def objective_of(config: ModuleFamilyConfig, dataset: Dataset, dtype: torch.dtype = torch.float64) -> ModuleObjective:
    objective = model_of(config).objective(dataset.train, CPU, dtype)
    assert isinstance(objective, ModuleObjective)
    return objective


def drawn(config: ModuleFamilyConfig, dataset: Dataset, dtype: torch.dtype = torch.float64) -> Parameters:
    """Somewhere: rows at random, and the shared weights of a new module."""
    generator = torch.Generator().manual_seed(1)
    tables = [
        0.5 * torch.randn(count, config.rank, generator=generator, dtype=dtype)
        for count in (dataset.train.users, dataset.train.items)
    ]
    shared = {name: each.detach().to(dtype) for name, each in config.build().named_parameters()}
    return Parameters({"user": tables[0], "item": tables[1]}, shared)


def practised(config: ModuleFamilyConfig, dataset: Dataset) -> Parameters:
    """A fitted model that is not stationary: some steps of Adam on all rows."""
    objective = objective_of(config, dataset)
    theta = drawn(config, dataset).stacked().requires_grad_()
    optimiser = torch.optim.Adam([theta], lr=0.02)
    for _ in range(60):
        optimiser.zero_grad()
        plain_objective(theta, objective).backward()
        optimiser.step()
    return objective.layout.parameters(theta.detach())


def plain_objective(theta: Tensor, objective: ModuleObjective) -> Tensor:
    """L written out, for autograd."""
    loss = objective.loss.value(plain_scores(theta, objective), objective.label)
    return (objective.weight * loss).sum() + (objective.decay[:, None] * theta.square()).sum() / 2


def plain_scores(theta: Tensor, objective: ModuleObjective) -> Tensor:
    """s [N] of all interactions, deleted ones included."""
    user, item = theta[objective.user.long()], theta[objective.item.long()]
    features = objective.features_of(torch.arange(len(user)))
    shared = dict(objective.layout.parameters(theta).shared)
    found: Tensor = torch.func.functional_call(objective.score.module, shared, (user, item, *features))
    return found


def dense_system(theta: Tensor, objective: ModuleObjective) -> Tensor:
    """Jᵀ diag(w·ℓ'') J + ridge [R·K, R·K], by autograd."""
    jacobian = torch.func.jacrev(plain_scores)(theta, objective).flatten(1)
    if objective.frozen:
        jacobian[:, objective.entities * theta.shape[1] :] = 0
    second = objective.weight * objective.loss.curvature(plain_scores(theta, objective), objective.label)
    ridge = objective.ridge[:, None].expand(-1, theta.shape[1]).flatten()
    return jacobian.mT @ (second[:, None] * jacobian) + torch.diag(ridge)
