"""Small random graph problems, and LightGCN's objective written out plainly for autograd to differentiate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss

from ifru.interactions import Columns, Interactions
from ifru.kernels.dispatch import torch_only
from ifru.models.lightgcn import LightGCN, LightGCNConfig
from ifru.objective.graph import Graph
from ifru.objective.propagated import PropagatedObjective

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Problem:
    """Interactions with duplicates, weights, tombstones and sampled negatives; a model; parameters; randomness."""

    interactions: Interactions
    config: LightGCNConfig
    theta: Tensor
    random: np.random.Generator

    def objective(self, path: str, dtype: torch.dtype = torch.float64) -> PropagatedObjective:
        """On a copy of the interactions, so that two paths can be driven through the same deletions."""
        table, model = self.interactions.copy(), LightGCN(self.config)
        if path == "compiled":
            objective = model.objective(table, CPU, dtype)
        else:
            with torch_only():
                objective = model.objective(table, CPU, dtype)
        assert isinstance(objective, PropagatedObjective)
        return objective

    def graph(self, path: str, dtype: torch.dtype = torch.float64) -> Graph:
        return self.objective(path, dtype).graph

    def normal(self, *shape: int) -> Tensor:
        return torch.from_numpy(self.random.normal(size=shape))

    def some(self, count: int) -> np.ndarray:
        """Some of so many numbers, ascending; possibly none."""
        return np.flatnonzero(self.random.random(count) < 0.4)

    def some_alive(self, table: Interactions) -> np.ndarray:
        """Positions of some retained interactions; possibly none."""
        return np.flatnonzero(table.alive & (self.random.random(len(table)) < 0.3))


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1), label="seed"))
    users, items = draw(st.integers(1, 6), label="users"), draw(st.integers(1, 6), label="items")
    rows = draw(st.integers(0, 40), label="rows")
    config = LightGCNConfig(
        rank=draw(st.integers(1, 4), label="rank"),
        loss=draw(st.sampled_from(["bce", "squared"]), label="loss"),
        l2=draw(st.sampled_from([1e-3, 0.1, 2.0]), label="l2"),
        layers=draw(st.integers(1, 4), label="layers"),
        graph=draw(st.sampled_from(["positives", "all"]), label="graph"),
    )
    sampled = random.random(rows) < draw(st.sampled_from([0.0, 0.3]), label="share of negatives")
    recorded = np.flatnonzero(~sampled)
    sampled &= len(recorded) > 0
    origin = np.where(sampled, random.choice(recorded, rows) if len(recorded) else 0, np.arange(rows))
    columns = Columns(
        user=random.integers(0, users, rows).astype(np.int32),
        item=random.integers(0, items, rows).astype(np.int32),
        label=np.where(sampled, 0, random.integers(0, 2, rows)).astype(np.float32),
        weight=random.uniform(0.5, 2, rows).astype(np.float32),
        time=None,
        origin=origin,
    )
    alive = random.random(rows) < draw(st.sampled_from([0.5, 0.9, 1.0]), label="share alive")
    theta = torch.from_numpy(random.normal(size=(users + items, config.rank)))
    return Problem(Interactions(columns, users, items, alive), config, theta, random)


def plain_adjacency(problem: Problem, table: Interactions) -> np.ndarray:
    """A [R, R], dense."""
    rows = table.users + table.items
    recorded = table.origin == np.arange(len(table))
    edges = table.alive & recorded & ((table.label > 0.5) | (problem.config.graph == "all"))
    adjacency = np.zeros((rows, rows))
    for user, item in zip(table.user[edges], table.item[edges] + table.users, strict=True):
        adjacency[user, item] += 1
        adjacency[item, user] += 1
    return adjacency


def plain_propagation(problem: Problem, table: Interactions) -> Tensor:
    """P [R, R], dense."""
    adjacency = plain_adjacency(problem, table)
    degree = adjacency.sum(1)
    root = np.where(degree > 0, 1 / np.sqrt(np.maximum(degree, 1)), 0)
    normalised = root[:, None] * adjacency * root
    powers = [np.linalg.matrix_power(normalised, layer) for layer in range(problem.config.layers + 1)]
    return torch.from_numpy(np.mean(powers, axis=0))


def plain_scores(theta: Tensor, propagation: Tensor, table: Interactions) -> Tensor:
    z = propagation @ theta
    user, item = torch.from_numpy(table.user).long(), torch.from_numpy(table.item).long() + table.users
    return torch.einsum("nk,nk->n", z[user], z[item])


def plain_objective(
    problem: Problem, theta: Tensor, propagation: Tensor, table: Interactions, kept: np.ndarray
) -> Tensor:
    """L of the interactions that are `kept` [N]: each one's loss at propagated rows and penalty on its own."""
    score = plain_scores(theta, propagation, table)
    label, weight = torch.from_numpy(table.label).double(), torch.from_numpy(table.weight).double()
    if problem.config.loss == "bce":
        loss = binary_cross_entropy_with_logits(score, label, reduction="none")
    else:
        loss = mse_loss(score, label, reduction="none") / 2
    user = theta[torch.from_numpy(table.user).long()]
    item = theta[torch.from_numpy(table.item).long() + table.users]
    penalty = problem.config.l2 / 2 * (user.square().sum(1) + item.square().sum(1))
    return torch.where(torch.from_numpy(kept), weight * loss + penalty, 0.0).sum()


def plain_gradient(
    problem: Problem, theta: Tensor, propagation: Tensor, table: Interactions, kept: np.ndarray
) -> Tensor:
    return torch.func.grad(lambda at: plain_objective(problem, at, propagation, table, kept))(theta)


def components(count: int) -> Interactions:
    """So many pairs of users with two items that all of them like, apart from all others."""
    user = np.repeat(np.arange(2 * count), 2)
    item = user // 2 * 2 + np.tile([0, 1], 2 * count)
    ones = np.ones(len(user), dtype=np.float32)
    columns = Columns(user.astype(np.int32), item.astype(np.int32), ones, ones, None, np.arange(len(user)))
    return Interactions(columns, 2 * count, 2 * count)


def dense_table(users: int, items: int) -> Interactions:
    """Two fifths of all pairs, liked or not."""
    random = np.random.default_rng(0)
    user, item = np.nonzero(random.random((users, items)) < 0.4)
    ones = np.ones(len(user), dtype=np.float32)
    liked = (random.random(len(user)) < 0.6).astype(np.float32)
    columns = Columns(user.astype(np.int32), item.astype(np.int32), liked, ones, None, np.arange(len(user)))
    return Interactions(columns, users, items)
