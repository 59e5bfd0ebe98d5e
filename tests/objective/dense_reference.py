"""Small random problems, and the objective written out plainly for autograd to differentiate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss

from ifru.interactions import Columns, Interactions
from ifru.models import MFConfig, model_of
from ifru.models.mf import MatrixFactorization
from ifru.objective.bilinear import BilinearObjective
from ifru.objective.losses import loss_of
from ifru.objective.pairwise import PairwiseObjective, PairwisePoint

numerical = settings(max_examples=25, deadline=None)
"""Few examples each; no deadline, since the first one compiles."""


@dataclass(frozen=True)
class Problem:
    """Interactions with duplicate pairs, weights and tombstones; a model; parameters; and its source of randomness."""

    interactions: Interactions
    config: MFConfig
    theta: Tensor
    random: np.random.Generator

    def objective(self, path: str, dtype: torch.dtype = torch.float64) -> PairwiseObjective:
        """The objective on a copy of the interactions, so that two paths can be driven through the same deletions."""
        config, table = self.config, self.interactions.copy()
        model, loss = MatrixFactorization(config), loss_of(config.loss)
        if path == "compiled":
            return BilinearObjective(model, loss, config.l2, table, dtype)
        return PairwiseObjective(model, loss, config.l2, table, torch.device("cpu"), dtype)

    def point(self, path: str, dtype: torch.dtype = torch.float64) -> PairwisePoint:
        """That objective at a copy of θ."""
        return self.objective(path, dtype).at(self.theta.to(dtype, copy=True))

    def normal(self, *shape: int) -> Tensor:
        return torch.from_numpy(self.random.normal(size=shape))

    def support(self) -> Tensor:
        """Some rows of both sides, ascending; possibly none."""
        return torch.from_numpy(np.flatnonzero(self.random.random(len(self.theta)) < 0.5))

    def some_alive(self, table: Interactions) -> np.ndarray:
        """Positions of some retained interactions; possibly none."""
        return np.flatnonzero(table.alive & (self.random.random(len(table)) < 0.3))


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1), label="seed"))
    users, items = draw(st.integers(1, 6), label="users"), draw(st.integers(1, 6), label="items")
    rows = draw(st.integers(0, 40), label="rows")
    config = MFConfig(
        rank=draw(st.integers(1, 4), label="rank"),
        bias=draw(st.booleans(), label="bias"),
        loss=draw(st.sampled_from(["bce", "squared"]), label="loss"),
        l2=draw(st.sampled_from([1e-3, 0.1, 2.0]), label="l2"),
    )
    columns = Columns(
        user=random.integers(0, users, rows).astype(np.int32),
        item=random.integers(0, items, rows).astype(np.int32),
        label=random.integers(0, 2, rows).astype(np.float32),
        weight=random.uniform(0.5, 2, rows).astype(np.float32),
        time=None,
        origin=np.arange(rows),
    )
    alive = random.random(rows) < draw(st.sampled_from([0.5, 0.9, 1.0]), label="share alive")
    theta = torch.from_numpy(random.normal(size=(users + items, sum(model_of(config).columns.values()))))
    return Problem(Interactions(columns, users, items, alive), config, theta, random)


def plain_scores(problem: Problem, theta: Tensor, table: Interactions) -> Tensor:
    user = theta[torch.from_numpy(table.user.astype(np.int64))]
    item = theta[torch.from_numpy(table.item.astype(np.int64)) + table.users]
    rank = problem.config.rank
    score = torch.einsum("nk,nk->n", user[:, :rank], item[:, :rank])
    return score + user[:, rank] + item[:, rank] if problem.config.bias else score


def plain_objective(problem: Problem, theta: Tensor, table: Interactions) -> Tensor:
    """L as the design writes it: one term per retained interaction, its share of the penalty included."""
    score = plain_scores(problem, theta, table)
    label = torch.from_numpy(table.label).double()
    weight = torch.from_numpy(table.weight).double()
    if problem.config.loss == "bce":
        loss = binary_cross_entropy_with_logits(score, label, reduction="none")
    else:
        loss = mse_loss(score, label, reduction="none") / 2
    user = theta[torch.from_numpy(table.user.astype(np.int64))]
    item = theta[torch.from_numpy(table.item.astype(np.int64)) + table.users]
    penalty = problem.config.l2 / 2 * (user.square().sum(1) + item.square().sum(1))
    return torch.where(torch.from_numpy(table.alive), weight * loss + penalty, 0.0).sum()


def plain_gradient(problem: Problem, theta: Tensor, table: Interactions) -> Tensor:
    return torch.func.grad(lambda at: plain_objective(problem, at, table))(theta)


def plain_hessian(problem: Problem) -> Tensor:
    """[R, K, R, K]."""
    return torch.func.hessian(lambda at: plain_objective(problem, at, problem.interactions))(problem.theta)


def plain_blocks(problem: Problem, rows: Tensor) -> Tensor:
    """Gauss-Newton blocks [S, K, K]: Σ w·ℓ''·JJᵀ + λ·degree·I, with J from autograd."""
    table, theta = problem.interactions, problem.theta
    jacobian = torch.func.jacrev(lambda at: plain_scores(problem, at, table))(theta)
    score = plain_scores(problem, theta, table)
    curved = torch.sigmoid(score) * torch.sigmoid(-score) if problem.config.loss == "bce" else torch.ones_like(score)
    curved = curved * torch.from_numpy(table.weight * table.alive).double()
    blocks = torch.einsum("n,nrk,nrj->rkj", curved, jacobian, jacobian)
    degree = torch.from_numpy(table.degree).double()
    eye = torch.eye(theta.shape[1], dtype=theta.dtype)
    return (blocks + problem.config.l2 * degree[:, None, None] * eye)[rows]
