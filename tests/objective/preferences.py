"""Small random problems of positives with sampled negatives, and the loss of preferences written out for autograd."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import logsigmoid

from ifru.interactions import Columns, Interactions
from ifru.kernels.dispatch import torch_only
from ifru.models import MFConfig, ModelConfig, model_of
from ifru.models.lightgcn import LightGCNConfig
from ifru.objective import Objective
from tests.objective import graph_reference
from tests.objective.graph_reference import plain_propagation

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Problem:
    """Interactions with several negatives, duplicates, weights and tombstones; a model; parameters; and randomness."""

    interactions: Interactions
    config: ModelConfig
    theta: Tensor
    random: np.random.Generator

    def objective(self, path: str, dtype: torch.dtype = torch.float64) -> Objective:
        """On a copy of the interactions, so that two paths can be driven through the same deletions."""
        table = self.interactions.copy()
        if path == "compiled":
            return model_of(self.config).objective(table, CPU, dtype)
        with torch_only():
            return model_of(self.config).objective(table, CPU, dtype)

    def normal(self, *shape: int) -> Tensor:
        return torch.from_numpy(self.random.normal(size=shape))

    def some_alive(self, table: Interactions, share: float = 0.3) -> np.ndarray:
        """Positions of some retained interactions, without regard to what was drawn for what; possibly none."""
        return np.flatnonzero(table.alive & (self.random.random(len(table)) < share))


def families(random: np.random.Generator, users: int, items: int, positives: int, most: int) -> Columns:
    """Positives with up to so many negatives each, in random order."""
    owner = np.repeat(np.arange(positives), random.integers(0, most + 1, positives))
    user = random.integers(0, users, positives)
    total = positives + len(owner)
    order = random.permutation(total)
    place = np.argsort(order)
    columns = np.concatenate([user, user[owner]]), np.concatenate([np.arange(positives), owner])
    label = np.concatenate([np.ones(positives), np.zeros(len(owner))])
    return Columns(
        user=columns[0][order].astype(np.int32),
        item=random.integers(0, items, total).astype(np.int32),
        label=label[order].astype(np.float32),
        weight=random.uniform(0.5, 2, total).astype(np.float32),
        time=None,
        origin=place[columns[1][order]],
    )


@st.composite
def problems(draw: st.DrawFn, model: str) -> Problem:
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1), label="seed"))
    users, items = draw(st.integers(1, 5), label="users"), draw(st.integers(1, 6), label="items")
    columns = families(random, users, items, draw(st.integers(0, 15), label="positives"), 3)
    rank, l2 = draw(st.integers(1, 4), label="rank"), draw(st.sampled_from([1e-3, 0.1, 2.0]), label="l2")
    config: ModelConfig
    if model == "mf":
        config = MFConfig(rank=rank, bias=draw(st.booleans(), label="bias"), loss="bpr", l2=l2)
    else:
        config = LightGCNConfig(rank=rank, layers=draw(st.integers(1, 3), label="layers"), loss="bpr", l2=l2)
    alive = random.random(len(columns)) < draw(st.sampled_from([0.5, 0.9, 1.0]), label="share alive")
    theta = torch.from_numpy(random.normal(size=(users + items, sum(model_of(config).columns.values()))))
    return Problem(Interactions(columns, users, items, alive), config, theta, random)


def plain_terms(problem: Problem, z: Tensor, table: Interactions) -> tuple[Tensor, Tensor, Tensor]:
    """Of the negatives that are retained with their positives, from scoring rows z [R, K]: both scores, and weights."""
    place = np.flatnonzero((table.origin != np.arange(len(table))) & table.alive & table.alive[table.origin])

    def scores(rows: np.ndarray) -> Tensor:
        user = z[torch.from_numpy(table.user[rows]).long()]
        item = z[torch.from_numpy(table.item[rows]).long() + table.users]
        rank = problem.config.rank
        score = (user[:, :rank] * item[:, :rank]).sum(1)
        return score + user[:, rank:].sum(1) + item[:, rank:].sum(1)

    return scores(table.origin[place]), scores(place), torch.from_numpy(table.weight[place]).double()


def plain_penalty(problem: Problem, theta: Tensor, table: Interactions) -> Tensor:
    degree = torch.from_numpy(table.degree).double()
    return problem.config.l2 / 2 * (degree[:, None] * theta.square()).sum()


def plain_objective(problem: Problem, theta: Tensor, table: Interactions) -> Tensor:
    """L as the module's docstring writes it."""
    z = theta
    if isinstance(problem.config, LightGCNConfig):
        z = plain_propagation(graph_reference.Problem(table, problem.config, theta, problem.random), table) @ theta
    liked, drawn, weight = plain_terms(problem, z, table)
    return -(weight * logsigmoid(liked - drawn)).sum() + plain_penalty(problem, theta, table)


def plain_gradient(problem: Problem, theta: Tensor, table: Interactions) -> Tensor:
    return torch.func.grad(lambda at: plain_objective(problem, at, table))(theta)


def plain_blocks(problem: Problem, theta: Tensor, table: Interactions) -> Tensor:
    """Gauss-Newton blocks [R, K, K] of matrix factorisation, as if no item were liked and drawn in one term."""
    of_liked, of_drawn = torch.func.jacrev(lambda at: plain_terms(problem, at, table)[:2])(theta)
    liked, drawn, weight = plain_terms(problem, theta, table)
    curved = weight * torch.sigmoid(liked - drawn) * torch.sigmoid(drawn - liked)

    def summed(jacobian: Tensor) -> Tensor:
        return torch.einsum("n,nrk,nrj->rkj", curved, jacobian, jacobian)

    of_users = summed(of_liked - of_drawn)[: table.users]
    of_items = (summed(of_liked) + summed(of_drawn))[table.users :]
    degree = torch.from_numpy(table.degree).double()
    eye = torch.eye(theta.shape[1], dtype=torch.float64)
    return torch.cat([of_users, of_items]) + problem.config.l2 * degree[:, None, None] * eye
