"""Compile what will be timed: loops are compiled for a precision when they first run."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.base import CPU
from benchmarks.engines import SUPPORTS
from ifru.engine.engine import Engine
from ifru.engine.settings import EngineSettings
from ifru.interactions import Deletion
from ifru.interactions.generated import generate
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import split
from ifru.models import MFConfig
from ifru.objective.parameters import Parameters
from ifru.training import fit, polish


def warm_up() -> None:
    """Train, retrain and forget on a few rows, in both precisions and with every support of the engine."""
    dataset = split(generate(40, 30, 300, seed=0), LabelRule.parse("rating>=4"), 0.0, seed=0)
    config = MFConfig(rank=4, l2=0.1)
    theta = fit(dataset.train, config, seed=0, device=CPU, dtype=torch.float32).theta
    polish(dataset.train, config, theta)
    for support in SUPPORTS:
        for tolerance in (0.5, 0.01):
            settings = EngineSettings.model_validate({"support": support, "tolerance": tolerance})
            engine = Engine(config, Parameters.unstacked(theta, 40), dataset.copy(), settings)
            engine.apply(Deletion(np.arange(2), np.arange(0)))
            engine.settle()
