"""Small problems of every family that has a proof, and pairs that are chosen in them at random."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ifru.evaluation.chosen_pairs import PairProver, PairsProven, pair_scores
from ifru.interactions import Interactions
from ifru.models import ModelConfig, model_of
from ifru.models.ials import IALSConfig
from ifru.objective import Objective
from ifru.objective.parameters import Parameters
from ifru.objective.tilted import ChosenPairs
from ifru.proof import Duality
from ifru.training.newton import Plan, initial, minimise
from tests.proof import test_all_pairs as all_pairs
from tests.proof import test_bpr as preferences
from tests.proof.cases import case
from tests.proof.graphs import graph_case

FAMILIES = (
    "plain",
    "squared",
    "bias",
    "bias-squared",
    "graph",
    "graph-squared",
    "ials",
    "bpr",
    "bpr-bias",
    "bpr-graph",
)


@dataclass(frozen=True)
class Problem:
    """Interactions and a model of rank enough for their optimum."""

    interactions: Interactions
    config: ModelConfig

    @property
    def objective(self) -> Objective:
        return model_of(self.config).objective(self.interactions, torch.device("cpu"), torch.float64)

    @property
    def duality(self) -> Duality:
        return model_of(self.config).duality(self.interactions)

    @cached_property
    def optimum(self) -> Parameters:
        objective = self.objective
        return self.parameters(minimise(objective, initial(objective, 0), Plan(tolerance=1e-11)).theta)

    def parameters(self, theta: Tensor) -> Parameters:
        return Parameters.unstacked(theta, self.interactions.users)

    def said(self, parameters: Parameters, pairs: ChosenPairs) -> float:
        """f."""
        served = model_of(self.config).serving(parameters, self.interactions)
        return float((pairs.weight * pair_scores(self.config, served, pairs)).sum())

    def prover(self, parameters: Parameters | None = None) -> PairProver:
        return PairProver(parameters or self.optimum, self.interactions, self.config)

    def proven(self, pairs: ChosenPairs, parameters: Parameters | None = None) -> PairsProven:
        return self.prover(parameters).prove(pairs, auditor())

    def pairs(self, seed: int, count: int = 4) -> ChosenPairs:
        """Pairs, recorded or not, with data left or not, ascending, of weights whose squares sum up to 1."""
        random, table = np.random.default_rng(seed), self.interactions
        chosen = np.sort(random.choice(table.users * table.items, min(count, table.users * table.items), replace=False))
        user, item = (torch.from_numpy(side) for side in np.divmod(chosen, table.items))
        weight = torch.from_numpy(random.normal(size=len(chosen)))
        return ChosenPairs(user, item, weight / weight.norm())


def problem(family: str, seed: int) -> Problem:
    """A problem that is drawn from a seed, with duplicates, weights and tombstones."""
    kind, _, loss = family.partition("-")
    if family.startswith("bpr"):
        found = preferences.case(seed, loss or "plain", 0.05)
        return Problem(found.interactions, found.config)
    if kind == "ials":
        penalty = "plain" if seed % 2 else "frequency"
        weighted = all_pairs.case(seed, IALSConfig(rank=6, l2=0.3, alpha=(1.0, 5.0)[seed % 2], penalty=penalty))
        return Problem(weighted.interactions, weighted.config)
    if kind == "graph":
        passed = graph_case(seed, layers=1 + seed % 2, loss=loss or "bce", rank=8)
        return Problem(passed.interactions, passed.config)
    plain = case(seed, loss="squared" if "squared" in family else "bce", bias=kind == "bias", l2=0.1, alive=0.8)
    return Problem(plain.interactions, plain.config)


def auditor() -> torch.Generator:
    return torch.Generator().manual_seed(7)
