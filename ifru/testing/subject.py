"""What is tested: a model, small data, and its objective written out for autograd.

Axes: N interactions, n retained ones, U users, I items, R rows of θ (users first), K columns of a row.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from ifru.engine.engine import Engine
from ifru.engine.settings import EngineSettings
from ifru.interactions import Dataset, Deletion, Interactions
from ifru.interactions.generated import generate
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import split
from ifru.interactions.table import Int64
from ifru.kernels.dispatch import torch_only
from ifru.models import Model, ModelConfig, model_of
from ifru.models.module import ModuleFamilyConfig
from ifru.models.quality import scorer
from ifru.objective import Capabilities, Linearised, Objective
from ifru.objective.losses import loss_of
from ifru.objective.parameters import Parameters
from ifru.training import fit

CPU = torch.device("cpu")

EXACT = 1e-8
"""What rounding may make of a sum in float64, as a share of the whole."""


class Subject:
    """A model under test, with everything about it that a test class may state differently.

    config: the model's. within: how far two ways of forgetting the same may end from each other, as a share of what
    forgetting changes.
    """

    config: ClassVar[ModelConfig]
    within: ClassVar[float] = 0.02

    @classmethod
    def dataset(cls) -> Dataset:
        """The data: some hundreds of rows, so that autograd can be asked. Called once."""
        rule = "positive:1" if cls.config.loss == "bpr" else "rating>=4"
        return split(generate(60, 40, 600, seed=3), LabelRule.parse(rule), 0.2, seed=0)

    @classmethod
    def trained(cls, train: Interactions, seed: int) -> Parameters:
        """Trained in float64, from scratch."""
        return fit(train, cls.config, seed=seed, device=CPU, dtype=torch.float64).parameters

    def scores(self, theta: Tensor, table: Interactions) -> Tensor:
        """s [N] of θ [R, K], by operations that autograd knows."""
        model = model_of(self.config)
        with torch_only():
            serving = model.serving(model.layout(table.users, table.items).parameters(theta), table)
        user, item = (torch.from_numpy(side.astype(np.int64)) for side in (table.user, table.item))
        return scorer(self.config, serving).scores(serving.user[user], serving.item[item])

    def terms(self, score: Tensor, table: Interactions) -> Tensor:
        """What the loss is of, from scores [N]: these themselves, or how far a positive is ahead of its negative."""
        return score[torch.from_numpy(table.origin)] - score if self.config.loss == "bpr" else score

    def counted(self, table: Interactions) -> Tensor:
        """Which terms [N] there are."""
        drawn_for = table.alive[table.origin] & ~table.recorded if self.config.loss == "bpr" else True
        return torch.from_numpy(table.alive & drawn_for)

    def loss(self, score: Tensor, table: Interactions) -> Tensor:
        """Σ w·ℓ(t, y) over the terms, of scores [N]."""
        label, weight = torch.from_numpy(table.label).double(), torch.from_numpy(table.weight).double()
        if self.config.loss == "bpr":
            label = torch.ones_like(label)
        value = loss_of(self.config.loss).value(self.terms(score, table), label)
        return (self.counted(table) * weight * value).sum()

    def penalty(self, theta: Tensor, table: Interactions) -> Tensor:
        """What θ [R, K] is charged with."""
        degree = torch.from_numpy(table.degree).double()
        charged = self.config.l2 / 2 * (degree @ theta[: len(degree)].square().sum(1))
        if isinstance(self.config, ModuleFamilyConfig) and self.config.shared == "trained":
            charged = charged + self.config.shared_l2 / 2 * theta[len(degree) :].square().sum()
        return charged

    @property
    def damping(self) -> float:
        """What share of the penalty a response adds to the curvature."""
        return self.config.damping if isinstance(self.config, ModuleFamilyConfig) else 0.0

    @property
    def model(self) -> Model:
        """Made anew."""
        return model_of(self.config)

    @property
    def base(self) -> Parameters:
        """Trained parameters: a copy."""
        return _prepared(type(self))[1].to(CPU, copy=True)

    @property
    def data(self) -> Dataset:
        """A copy of the data."""
        return _prepared(type(self))[0].copy()

    def objective(self, table: Interactions, device: torch.device = CPU) -> Objective:
        """In float64."""
        return self.model.objective(table, device, torch.float64)

    def away(self) -> Tensor:
        """θ [R, K] apart from the optimum; rows without interactions are zero."""
        theta, degree = self.base.stacked(), self.data.train.degree
        theta += 0.2 * self.normal(theta)
        theta[: len(degree)][torch.from_numpy(degree == 0)] = 0
        return theta

    def normal(self, like: Tensor) -> Tensor:
        """Normal numbers, always the same; nothing where nothing moves."""
        random = torch.Generator().manual_seed(5)
        return self.moving(torch.randn(like.shape, generator=random, dtype=torch.float64))

    def moving(self, x: Tensor) -> Tensor:
        """x [R, K] without what a model keeps as it is."""
        if isinstance(self.config, ModuleFamilyConfig) and self.config.shared == "frozen":
            x[len(self.data.train.degree) :] = 0
        return x

    def point(self) -> Linearised:
        """The objective of all data, away from the optimum."""
        return self.objective(self.data.train).at(self.away())

    def engine(self, tolerance: float = 1e-3, device: str = "cpu") -> Engine:
        """On copies of the trained parameters and of the data."""
        settings = EngineSettings(tolerance=tolerance, refined=tolerance / 10)
        return Engine(self.config, self.base, self.data, settings, device)

    def requests(self) -> tuple[Deletion, Deletion]:
        """Two batches that have nothing in common: a whole user, and single rows of others."""
        data = self.data
        user = int(np.flatnonzero(data.train.user_degree > 2)[0])
        others = np.flatnonzero(data.train.alive & data.train.recorded & (data.train.user != user))
        rows = np.random.default_rng(0).choice(others, 8, replace=False)
        pairs = [data.of_pair(int(data.train.user[row]), int(data.train.item[row])) for row in rows]
        return data.of_user(user), Deletion.union(pairs)

    def gradient(self, theta: Tensor, table: Interactions) -> Tensor:
        """∇L [R, K] by autograd."""
        at = theta.detach().requires_grad_()
        (found,) = torch.autograd.grad(self.value(at, table), at)
        return self.moving(found)

    def value(self, theta: Tensor, table: Interactions) -> Tensor:
        """L, written out."""
        return self.loss(self.scores(theta, table), table) + self.penalty(theta, table)

    def hessian_times(self, x: Tensor, theta: Tensor, table: Interactions) -> Tensor:
        """∇²L x [R, K] by autograd; of a response Gauss-Newton's, without the second derivative of the score."""
        at = theta.detach().requires_grad_()
        if not self.model.capabilities.response:
            (first,) = torch.autograd.grad(self.value(at, table), at, create_graph=True)
            return torch.autograd.grad((first * x).sum(), at)[0]
        score = self.scores(at, table)
        seed = torch.zeros_like(score, requires_grad=True)
        # J x is the derivative of Jᵀv by v.
        (back,) = torch.autograd.grad(score, at, seed, create_graph=True)
        (tangent,) = torch.autograd.grad(back, seed, x, retain_graph=True)
        fixed = score.detach().requires_grad_()
        (slope,) = torch.autograd.grad(self.loss(fixed, table), fixed, create_graph=True)
        (curved,) = torch.autograd.grad(slope, fixed, tangent)
        (of_data,) = torch.autograd.grad(score, at, curved)
        (of_penalty,) = torch.autograd.grad(self.penalty(at, table), at, create_graph=True)
        return self.moving(of_data + (1 + self.damping) * torch.autograd.grad(of_penalty, at, x)[0])

    def response(self, theta: Tensor, table: Interactions, left: Interactions) -> Tensor:
        """What a response adds to the debt [R, K] where a table becomes what is left of it: the means of the loss
        derivatives of what is deleted, on the way of each score from the best one that all can share."""
        at, gone = theta.detach().requires_grad_(), torch.from_numpy(table.alive & ~left.alive)
        score = self.scores(at, table)
        shared = torch.zeros_like(score)
        for _ in range(50):
            shared -= self._slope(shared, table).sum() / self._slope(shared, table, 1).sum()
        places, shares = (torch.from_numpy(each) for each in np.polynomial.legendre.leggauss(50))
        way = score.detach() - shared
        mean = sum(
            share / 2 * self._slope(shared + (1 + place) / 2 * way, table)
            for place, share in zip(places, shares, strict=True)
        )
        (of_data,) = torch.autograd.grad(score, at, mean * gone)
        before, after = (torch.autograd.grad(self.penalty(at, each), at)[0] for each in (table, left))
        return self.moving(after - before - of_data)

    def _slope(self, score: Tensor, table: Interactions, times: int = 0) -> Tensor:
        """The derivative of the loss by each score [N], derived so many times more."""
        at = score.detach().requires_grad_()
        found = self.loss(at, table)
        for _ in range(times + 1):
            (found,) = torch.autograd.grad(found.sum(), at, create_graph=True)
        return found.detach()

    def served(self, parameters: Parameters, train: Interactions) -> Tensor:
        """Scores [U, I] of all pairs."""
        serving = self.model.serving(parameters.to(CPU, torch.float64), train)
        return scorer(self.config, serving).all_scores(serving.user, serving.item)


def needs(subject: Subject, capability: str) -> Capabilities:
    """Ends a test of a capability that the model does not declare."""
    declared = subject.model.capabilities
    if not getattr(declared, capability):
        pytest.skip(f"{subject.config.name} does not declare {capability}")
    return declared


def positions(count: int, share: float) -> Int64:
    """Some of so many positions, ascending, always the same."""
    return np.flatnonzero(np.random.default_rng(1).random(count) < share)


def close(found: Tensor, expected: Tensor, what: str, within: float = EXACT) -> None:
    """Raises AssertionError where two tensors differ by more than a share of the second one's norm."""
    assert found.shape == expected.shape, f"{what} has the shape {tuple(found.shape)}, not {tuple(expected.shape)}"
    off, whole = float((found.cpu() - expected.cpu()).norm()), float(expected.norm())
    assert off <= within * whole, (
        f"{what} is off by {off:.3g}, where its norm is {whole:.3g} (allowed: {within:g} of it)"
    )


_known: dict[type[Subject], tuple[Dataset, Parameters]] = {}


def _prepared(subject: type[Subject]) -> tuple[Dataset, Parameters]:
    """Data and trained parameters of a test class, made when they are first asked for."""
    if subject not in _known:
        dataset = subject.dataset()
        _known[subject] = dataset, subject.trained(dataset.train, 0)
    return _known[subject]
