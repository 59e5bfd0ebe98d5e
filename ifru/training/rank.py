"""The rank by the proof: dimensions are added until the gap closes (Ciliberto, Stamos and Pontil 2017).

Axes: R rows, K columns of a row.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ifru.interactions import Interactions
from ifru.models import ModelConfig, model_of
from ifru.models.proving import prove, prove_by
from ifru.objective import Objective
from ifru.proof import Direction, Proof, first_direction, trimmed
from ifru.training.accuracy import PROVEN, TOLERANCES, precision, solving
from ifru.training.dimensions import woken
from ifru.training.newton import Plan, Trained, minimise
from ifru.training.report import DescentReport, Report, silent

FIRST_RANK = 16
"""Rank to begin with."""

LARGEST_RANK = 256
"""Rank to end with at the latest: a row's block of the Hessian has as many numbers as the square of its columns."""

_TOLERANCES = (1e-3, 1e-5)
"""Gradient norms before that of the precision, in √L: while many dimensions are missing, it is soon seen which."""

_LAST = 0.01
"""Share of the precision's gradient norm that training goes down to where the gap is open for want of exactness."""

_RESERVE = 2
"""Dimensions out of use that are kept: a deletion can make the optimum need one."""

_OUT_OF_USE = 0.01
"""Share of the gap that counts as closed, which the penalty of all dimensions out of use is together at most."""


@dataclass(frozen=True)
class Tried:
    """A rank, and the relative gap that was left after training at it."""

    rank: int
    relative_gap: float


@dataclass(frozen=True)
class Grown:
    """A trained model of the rank that was found, its proof, and what was tried on the way, in order."""

    config: ModelConfig
    trained: Trained
    proof: Proof
    tried: tuple[Tried, ...]


def grown(
    interactions: Interactions,
    config: ModelConfig,
    *,
    seed: int,
    device: torch.device,
    dtype: torch.dtype,
    report: Report = silent,
) -> Grown:
    """Train from the rank of a configuration upwards, until the gap closes or nothing is gained; deterministic.

    Training begins with the leading eigenvectors at a model without dimensions, which is near the optimum where those
    are all that there are above λ. Larger models go on from smaller ones: training never starts again. In the end,
    dimensions that are not in use are left out, but for a reserve.
    """
    random, tried = torch.Generator().manual_seed(seed), list[Tried]()

    def train(config: ModelConfig, theta: Tensor, tolerance: float, known: Proof | None = None) -> Grown:
        computed_in, plan = precision(tolerance, dtype, interactions.retained), Plan(sweeps=0, tolerance=tolerance)
        objective, narrow = objectives(interactions, config, device, computed_in)
        since = f" (gap {tried[-1].relative_gap:.0e} at {tried[-1].rank})" if tried else ""
        what = f"training at rank {config.rank}{since}"
        theta = theta.to(computed_in)
        trained = minimise(objective, theta, plan, DescentReport(plan, report, what), narrow=narrow)
        report(f"proving at rank {config.rank}", None)
        if known is None:
            proof = prove(trained.parameters, interactions, config, random=random)
        else:
            proof = prove_by(known, trained.parameters, interactions, config)
        tried.append(Tried(config.rank, proof.relative_gap))
        return Grown(config, trained, proof, tuple(tried))

    most = min(interactions.users, interactions.items, LARGEST_RANK)
    tolerances = (*_TOLERANCES, TOLERANCES[dtype], _LAST * TOLERANCES[dtype])
    last = len(tolerances) - 1
    config, theta, complete = _begun(interactions, _of_rank(config, min(config.rank, most)), most, device, random)
    level = last - 1 if complete else 0
    while True:
        found = train(config, theta, tolerances[level])
        config, theta, gap = found.config, found.trained.theta, found.proof.relative_gap
        closed = level >= last - 1 and gap <= PROVEN[dtype]
        missing = found.proof.direction if config.rank < most else None
        if closed or (missing is None and level == last):
            break
        if missing is not None:
            config, theta = _wider(found, missing, most)
        if missing is None or missing.complete:
            # As far as is known, nothing is missing: what is between has nothing more to show.
            level = max(level + (missing is None), last - 1)
        elif gap <= tolerances[level]:
            level += 1
    narrower = _narrower(interactions, found, _OUT_OF_USE * PROVEN[dtype] * found.trained.objective)
    if narrower is None:
        return found
    return train(*narrower, tolerances[level], found.proof if closed else None)


def objectives(
    interactions: Interactions, config: ModelConfig, device: torch.device, dtype: torch.dtype
) -> tuple[Objective, Objective | None]:
    """The objective of a model in a precision, and in that which its linear systems are solved in, if it is another."""
    model, narrow = model_of(config), solving(dtype, interactions.retained)
    objective = model.objective(interactions, device, dtype)
    return objective, None if narrow == dtype else model.objective(interactions, device, narrow)


def _begun(
    interactions: Interactions, config: ModelConfig, most: int, device: torch.device, random: torch.Generator
) -> tuple[ModelConfig, Tensor, bool]:
    """The dimensions that bring L down from a model without any, of the configuration's rank at most.

    Also whether that is all of them; if so, a reserve is with them.
    """
    objective = model_of(config).objective(interactions, device, torch.float64)
    theta = torch.zeros(len(objective.ridge), objective.layout.width, dtype=torch.float64, device=device)
    if objective.layout.width > config.rank:
        # Along dimensions that are zero the gradient is zero: only biases are trained.
        theta = minimise(objective, theta, Plan(sweeps=0, tolerance=_TOLERANCES[0])).theta
    found = first_direction(model_of(config).duality(interactions), theta.cpu(), random)
    complete = found is None or found.complete
    columns = theta[:, :0] if found is None else found.columns.to(theta)
    if complete:
        columns = torch.nn.functional.pad(columns, (0, min(_RESERVE, most - columns.shape[1])))
    begun = torch.cat([columns, theta[:, config.rank :]], 1)
    return _of_rank(config, columns.shape[1]), woken(begun, random) if complete else begun, complete


def _of_rank(config: ModelConfig, rank: int) -> ModelConfig:
    return config.model_copy(update={"rank": rank})


def _wider(found: Grown, missing: Direction, most: int) -> tuple[ModelConfig, Tensor]:
    """The model with the dimensions that its proof says are missing, as far as there is room."""
    rank, theta = found.config.rank, found.trained.theta
    columns = missing.columns[:, : most - rank].to(theta)
    return _of_rank(found.config, rank + columns.shape[1]), torch.cat([theta[:, :rank], columns, theta[:, rank:]], 1)


def _narrower(interactions: Interactions, found: Grown, spare: float) -> tuple[ModelConfig, Tensor] | None:
    """The model without dimensions that are not in use; None where there are none beyond the reserve."""
    config, theta = found.config, found.trained.theta
    columns = trimmed(model_of(config).duality(interactions), theta, spare, _RESERVE)
    if columns is None:
        return None
    return _of_rank(config, config.rank - (theta.shape[1] - columns.shape[1])), columns
