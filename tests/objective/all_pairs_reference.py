"""Small random problems of all pairs, and their objective written out plainly for autograd to differentiate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from ifru.interactions import Columns, Interactions
from ifru.kernels.dispatch import torch_only
from ifru.models import MFConfig
from ifru.models.mf import MatrixFactorization
from ifru.objective.all_pairs import AllPairsObjective, AllPairsPoint, Weighting

ALPHAS = [0.3, 1.0, 20.0]
"""The first is a confidence below that of unobserved pairs; with the second, recorded pairs of weight 1 equal it."""


@dataclass(frozen=True)
class Problem:
    """Interactions with duplicate pairs, weights and tombstones; parameters, zero where a row has no interactions."""

    interactions: Interactions
    weighting: Weighting
    l2: float
    theta: Tensor
    random: np.random.Generator

    def point(self, path: str, dtype: torch.dtype = torch.float64) -> AllPairsPoint:
        """On a copy of interactions and θ."""
        score = MatrixFactorization(MFConfig(rank=self.theta.shape[1], l2=self.l2))
        made = score, self.weighting, self.l2, self.interactions.copy(), torch.device("cpu"), dtype
        theta = self.theta.to(dtype, copy=True)
        if path == "compiled":
            return AllPairsObjective(*made).at(theta)
        with torch_only():
            return AllPairsObjective(*made).at(theta)

    def normal(self) -> Tensor:
        return torch.from_numpy(self.random.normal(size=tuple(self.theta.shape)))


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1), label="seed"))
    users, items = draw(st.integers(1, 6), label="users"), draw(st.integers(1, 6), label="items")
    rows, rank = draw(st.integers(0, 30), label="rows"), draw(st.integers(1, 4), label="rank")
    ones = draw(st.booleans(), label="weights are 1")
    columns = Columns(
        user=random.integers(0, users, rows).astype(np.int32),
        item=random.integers(0, items, rows).astype(np.int32),
        label=random.choice([1.0, 1.0, 0.0, 2.5], rows).astype(np.float32),
        weight=(np.ones(rows) if ones else random.uniform(0.5, 2, rows)).astype(np.float32),
        time=None,
        origin=np.arange(rows),
    )
    alive = random.random(rows) < draw(st.sampled_from([0.5, 0.9, 1.0]), label="share alive")
    table = Interactions(columns, users, items, alive)
    weighting = Weighting(
        alpha=draw(st.sampled_from(ALPHAS), label="alpha"),
        unobserved=draw(st.sampled_from([0.1, 1.0]), label="unobserved"),
        by_degree=draw(st.booleans(), label="by degree"),
    )
    theta = torch.from_numpy(random.normal(size=(users + items, rank)))
    theta[table.degree == 0] = 0
    return Problem(table, weighting, draw(st.sampled_from([1e-3, 0.1, 2.0]), label="l2"), theta, random)


def plain_objective(problem: Problem, theta: Tensor, table: Interactions) -> Tensor:
    """L, pair by pair: a recorded one by its interactions, every other one by w₀ and the label 0."""
    weighting, users = problem.weighting, table.users
    scores = theta[:users] @ theta[users:].T
    total = theta.new_zeros(())
    for user in range(users):
        for item in range(table.items):
            there = np.flatnonzero(table.alive & (table.user == user) & (table.item == item))
            score = scores[user, item]
            if len(there) == 0:
                total = total + 0.5 * weighting.unobserved * score**2
            for z in there:
                total = total + 0.5 * weighting.alpha * float(table.weight[z]) * (float(table.label[z]) - score) ** 2
    degree = torch.from_numpy(table.degree).double()
    times = degree if weighting.by_degree else (degree > 0).double()
    return total + problem.l2 / 2 * (times * theta.square().sum(1)).sum()


def plain_gradient(problem: Problem, theta: Tensor, table: Interactions) -> Tensor:
    found: Tensor = torch.func.grad(lambda at: plain_objective(problem, at, table))(theta)
    return found


def plain_hessian(problem: Problem) -> Tensor:
    """[R, K, R, K]."""
    found: Tensor = torch.func.hessian(lambda at: plain_objective(problem, at, problem.interactions))(problem.theta)
    return found
