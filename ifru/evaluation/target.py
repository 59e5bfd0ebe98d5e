"""The exactly retrained model, which an update is held against: from the base where it is unique, else from scratch.

A proof tells the two cases apart. A base that is optimal has the dimensions that the optimum needs, and a deletion
hardly ever makes it need more. The retrained model is then proven optimal too, wherever training started, and in scores
there is only one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from ifru.interactions import Interactions
from ifru.models import ModelConfig, model_of
from ifru.models.proving import prove
from ifru.objective.parameters import Parameters
from ifru.training import PROVEN, Report, fit, polish, silent
from ifru.training.dimensions import has_spare


@dataclass(frozen=True)
class Retrained:
    """Parameters of a retrained model, in float64. warm: whether training went on from the base.

    seconds: of training in the precision of the update; making it exact in float64 is not counted.
    """

    parameters: Parameters
    warm: bool
    seconds: float


def begins_from(base: Parameters, train: Interactions, config: ModelConfig, seed: int) -> bool:
    """Whether it is worth while to retrain from a base: as far as can be seen, it minimises L on some interactions."""
    if not model_of(config).capabilities.provable:
        return False
    # A stationary point that has a dimension to spare is a minimum, but for saddles; what comes of it is proven anyway.
    if has_spare(base.stacked()):
        return True
    proof = prove(base, train, config, random=torch.Generator().manual_seed(seed))
    return proof.relative_gap <= PROVEN[base.computed_in]


def retrain(
    train: Interactions,
    config: ModelConfig,
    *,
    seed: int,
    device: torch.device,
    dtype: torch.dtype,
    base: Parameters | None = None,
    clock: Callable[[], float] = time.perf_counter,
    report: Report = silent,
    what: str = "retraining",
) -> Retrained:
    """Train to a stationary point: on from a base where one is given, else from scratch. what: it is reported as."""
    start = clock()
    theta = None if base is None else base.stacked()
    fitted = fit(train, config, seed=seed, device=device, dtype=dtype, report=report, start=theta, what=what)
    seconds = clock() - start
    exact = polish(train, config, fitted.theta, report=report, what=f"{what}, in float64").parameters
    return Retrained(exact, base is not None, seconds)
