"""Small problems for the proof, their optimum, and the figures that it bounds, written out plainly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ifru.interactions import Columns, Interactions
from ifru.models import MFConfig
from ifru.models.mf import MatrixFactorization
from ifru.models.proving import prove
from ifru.objective.losses import loss_of
from ifru.objective.pairwise import PairwiseObjective
from ifru.objective.parameters import Parameters
from ifru.proof import Dual, Proof
from ifru.training.newton import Plan, initial, minimise


@dataclass(frozen=True)
class Case:
    """Interactions with duplicate pairs, weights and tombstones, and a model that has rank to spare."""

    interactions: Interactions
    config: MFConfig

    def objective(self) -> PairwiseObjective:
        config = self.config
        model, loss = MatrixFactorization(config), loss_of(config.loss)
        return PairwiseObjective(model, loss, config.l2, self.interactions, torch.device("cpu"), torch.float64)

    def start(self, seed: int = 0) -> Tensor:
        objective = self.objective()
        return initial(objective, seed)

    def trained(self, theta: Tensor, plan: Plan | None = None) -> Tensor:
        return minimise(self.objective(), theta, plan or Plan(tolerance=1e-10)).theta

    def value(self, theta: Tensor) -> float:
        return self.objective().value(theta)

    def predictions(self, theta: Tensor) -> Tensor:
        """Of the retained rows: probabilities, or scores with the squared loss."""
        retained = torch.from_numpy(np.flatnonzero(self.interactions.alive))
        score = self.objective().scores(theta, retained)
        return torch.sigmoid(score) if self.config.loss == "bce" else score

    def prove(self, theta: Tensor, dual: Dual | None = None) -> Proof:
        parameters = Parameters.unstacked(theta, self.interactions.users)
        return prove(parameters, self.interactions, self.config, random=torch.Generator().manual_seed(7), dual=dual)

    def without(self, share: float, seed: int) -> Case:
        """The same case after the deletion of some of its retained rows."""
        table = self.interactions.copy()
        random = np.random.default_rng(seed)
        table.delete(np.flatnonzero(table.alive & (random.random(len(table)) < share)))
        return Case(table, self.config)

    def distance(self, theta: Tensor, other: Tensor) -> float:
        """Root mean square difference in predictions on the retained rows."""
        return float((self.predictions(theta) - self.predictions(other)).square().mean().sqrt())


def case(
    seed: int,
    *,
    loss: str = "bce",
    bias: bool = False,
    l2: float = 0.1,
    rank: int | None = None,
    size: int | None = None,
    alive: float = 0.9,
) -> Case:
    """A case with structure to learn; sizes, duplicates, weights and deletions are drawn from the seed."""
    random = np.random.default_rng(seed)
    users, items = (size or int(random.integers(2, 14)) for _ in range(2))
    rows = int(random.integers(users + items, 6 * (users + items)))
    user, item = random.integers(0, users, rows), random.integers(0, items, rows)
    taste = (random.normal(size=(users, 2)) @ random.normal(size=(2, items)))[user, item] + random.normal(size=rows)
    columns = Columns(
        user=user.astype(np.int32),
        item=item.astype(np.int32),
        label=(taste > 0 if loss == "bce" else taste).astype(np.float32),
        weight=random.uniform(0.5, 2, rows).astype(np.float32),
        time=None,
        origin=np.arange(rows),
    )
    table = Interactions(columns, users, items, random.random(rows) < alive)
    config = MFConfig(rank=rank or min(users, items), bias=bias, loss=loss, l2=l2)
    return Case(table, config)
