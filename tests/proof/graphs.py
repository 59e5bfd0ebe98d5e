"""Small problems whose rows are passed along a graph, written out densely: P, T, the objective, and its optimum.

Axes: U users, I items, R = U + I rows, K columns, N retained interactions.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from ifru.interactions import Interactions
from ifru.models import model_of
from ifru.models.lightgcn import LightGCNConfig
from ifru.models.proving import prove
from ifru.objective.parameters import Parameters
from ifru.proof import Dual, Proof, PropagatedDuality
from tests.proof.cases import case

Float64 = NDArray[np.float64]
_NEWTON_STEPS = 30


@dataclass(frozen=True)
class GraphCase:
    """Interactions with duplicate pairs, weights and tombstones, passed along all of them or along the positives."""

    interactions: Interactions
    config: LightGCNConfig

    @property
    def rows(self) -> int:
        return self.interactions.users + self.interactions.items

    @property
    def duality(self) -> PropagatedDuality:
        found = model_of(self.config).duality(self.interactions)
        assert isinstance(found, PropagatedDuality)
        return found

    @cached_property
    def ends(self) -> tuple[Tensor, Tensor]:
        """Rows [N] of users, rows [N] of items."""
        table = self.interactions
        user, item = (torch.from_numpy(end[table.alive]).long() for end in (table.user, table.item))
        return user, item + table.users

    @cached_property
    def propagation(self) -> Tensor:
        """P [R, R], from powers of the normalised adjacency."""
        table = self.interactions
        edges = table.label[table.alive] > 0.5 if self.config.graph == "positives" else np.ones(len(self.ends[0]), bool)
        adjacency = np.zeros((self.rows, self.rows))
        for user, item in zip(*(end.numpy()[edges] for end in self.ends), strict=True):
            adjacency[user, item] += 1
            adjacency[item, user] += 1
        degree = adjacency.sum(1)
        root = np.divide(1, np.sqrt(degree), out=np.zeros_like(degree), where=degree > 0)
        normalised = root[:, None] * adjacency * root
        powers = [np.linalg.matrix_power(normalised, layer) for layer in range(self.config.layers + 1)]
        return torch.from_numpy(sum(powers, np.zeros_like(normalised)) / len(powers))

    @cached_property
    def degree(self) -> Tensor:
        """D [R]."""
        ends = torch.cat(self.ends)
        return torch.zeros(self.rows, dtype=torch.float64).index_add_(0, ends, torch.ones(len(ends)).double())

    def spectrum(self, alpha: Tensor) -> Float64:
        """All eigenvalues of T(α), ascending, by LAPACK."""
        user, item = self.ends
        middle = torch.zeros(self.rows, self.rows, dtype=torch.float64)
        middle.index_put_((user, item), alpha, accumulate=True)
        root = torch.where(self.degree > 0, self.degree.clamp_min(1).rsqrt(), 0.0)
        matrix = root[:, None] * (self.propagation @ (middle + middle.T) @ self.propagation) * root
        return np.asarray(np.linalg.eigvalsh(-matrix.numpy()))

    def scores(self, theta: Tensor) -> Tensor:
        passed, (user, item) = self.propagation @ theta, self.ends
        return (passed[user] * passed[item]).sum(1)

    def value(self, theta: Tensor) -> Tensor:
        table = self.interactions
        score, label, weight = self.scores(theta), *self.labels
        if self.config.loss == "bce":
            losses = torch.logaddexp(score, torch.zeros_like(score)) - label * score
        else:
            losses = (score - label).square() / 2
        assert len(losses) == table.retained
        return (weight * losses).sum() + self.config.l2 / 2 * (self.degree[:, None] * theta.square()).sum()

    @cached_property
    def labels(self) -> tuple[Tensor, Tensor]:
        """Labels and weights [N]."""
        table = self.interactions
        return torch.from_numpy(table.label[table.alive]).double(), torch.from_numpy(table.weight[table.alive]).double()

    def start(self, seed: int) -> Tensor:
        theta = torch.randn(
            self.rows, self.config.rank, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
        )
        return theta * (self.degree > 0)[:, None]

    def optimum(self, seeds: int = 3) -> Tensor:
        """The best of some stationary points: L-BFGS from random starts, then Newton with the whole Hessian."""
        found = [self._stationary(self._descended(0.3 * self.start(seed))) for seed in range(seeds)]
        return min(found, key=lambda theta: float(self.value(theta)))

    def _descended(self, theta: Tensor) -> Tensor:
        def objective(x: Float64) -> tuple[float, Float64]:
            at = torch.from_numpy(x).view_as(theta).requires_grad_()
            value = self.value(at)
            (gradient,) = torch.autograd.grad(value, at)
            return float(value.detach()), gradient.numpy().ravel()

        found = minimize(objective, theta.numpy().ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 500})
        return torch.from_numpy(found.x).view_as(theta)

    def _stationary(self, theta: Tensor) -> Tensor:
        def objective(x: Tensor) -> Tensor:
            return self.value(x.view_as(theta))

        x = theta.ravel()
        for _ in range(_NEWTON_STEPS):
            gradient = torch.func.grad(objective)(x)
            values, axes = torch.linalg.eigh(torch.func.hessian(objective)(x))
            # Rotations leave L as it is; along directions that bend down, the step goes down.
            flat = values.abs() < 1e-9
            step = axes @ torch.where(flat, 0.0, (axes.T @ gradient) / torch.where(flat, 1.0, values.abs()))
            while float(objective(x - step)) > float(objective(x)) and float(step.norm()) > 1e-14:
                step = step / 2
            x = x - step
            if float(step.norm()) < 1e-12:
                break
        return x.view_as(theta)

    def prove(self, theta: Tensor, dual: Dual | None = None) -> Proof:
        parameters = Parameters.unstacked(theta, self.interactions.users)
        return prove(parameters, self.interactions, self.config, random=torch.Generator().manual_seed(7), dual=dual)

    def distance(self, theta: Tensor, other: Tensor) -> float:
        """Root mean square difference in predictions on the retained rows."""
        one, two = self.scores(theta), self.scores(other)
        if self.config.loss == "bce":
            one, two = torch.sigmoid(one), torch.sigmoid(two)
        return float((one - two).square().mean().sqrt())


def graph_case(
    seed: int,
    *,
    layers: int = 2,
    graph: str = "positives",
    loss: str = "bce",
    l2: float = 0.1,
    rank: int = 4,
    size: int | None = 4,
    alive: float = 0.9,
) -> GraphCase:
    """A case with structure to learn, drawn from the seed as in `case`."""
    table = case(seed, loss=loss, size=size, alive=alive).interactions
    config = LightGCNConfig.model_validate({"rank": rank, "loss": loss, "l2": l2, "layers": layers, "graph": graph})
    return GraphCase(table, config)
