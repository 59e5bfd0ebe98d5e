"""A version's bound from the dual point of a better solution on the same data.

A version's own dual point is off by as much as the version is, which costs the gap its first order. The dual point of a
solution next to the optimum leaves little more than what the version itself lacks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ifru.interactions import Interactions
from ifru.models import ModelConfig
from ifru.models.proving import prove, prove_by
from ifru.objective.parameters import Parameters
from ifru.proof import Proof, uninterrupted
from ifru.training import PROVEN, polish
from ifru.training.dimensions import has_spare, woken


@dataclass(frozen=True)
class Tightened:
    """Proofs of a version: `own`, with its own dual point, and `proof`, with the better of two; and of the solution."""

    proof: Proof
    own: Proof
    solution: Proof

    @property
    def rank_limited(self) -> bool:
        """Whether the gap stays open because the optimum needs more dimensions than the model has."""
        return self.solution.direction is not None and self.solution.relative_gap > PROVEN[torch.float64]


def tightened(
    parameters: Parameters,
    interactions: Interactions,
    config: ModelConfig,
    *,
    random: torch.Generator,
    solution: Proof | None = None,
    check: Callable[[], None] = uninterrupted,
    budget_bytes: float = math.inf,
) -> Tightened:
    """Prove a version with its own dual point and with that of a better solution.

    solution: the proof of parameters next to the optimum of the same data; without it, the version is copied and solved
    on from in float64. random: as for `prove`. check(): called at every step and every product with the Hessian; what
    it raises ends the work. budget_bytes: of the inverse blocks while solving on. Raises ProofError as `prove` does.
    """

    def proven(version: Parameters) -> Proof:
        return prove(version, interactions, config, random=random, check=check)

    def stop() -> bool:
        check()
        return False

    def solved(theta: Tensor) -> Parameters:
        return polish(interactions, config, theta, stop, budget_bytes).parameters

    own = proven(parameters)
    better = solution
    if better is None:
        found = solved(parameters.stacked())
        better = proven(found)
        if better.relative_gap > PROVEN[torch.float64] and has_spare(found.stacked()):
            better = proven(solved(woken(found.stacked(), random)))
    tight = prove_by(better, parameters, interactions, config)
    best = min(own, tight, key=lambda proof: proof.gap)
    # To choose the better one, both must hold.
    failure = own.failure_probability + tight.failure_probability
    return Tightened(replace(best, failure_probability=failure), own, better)
