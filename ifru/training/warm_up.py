"""Compiling ahead what training and updating run: a loop is compiled for a precision when it first runs.

What is compiled is kept on disk, for later processes too; these only load it.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch

from ifru.engine.engine import Engine
from ifru.engine.settings import EngineSettings
from ifru.interactions import Deletion
from ifru.interactions.generated import generate
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import split
from ifru.kernels.dispatch import all_cores
from ifru.models import MFConfig, ModelConfig, model_of
from ifru.training.newton import Plan, initial, minimise

_RANK = 16
_L2 = 0.1
"""So many columns that the generated rows take every form of a block, and a penalty that is soon trained under."""


@cache
def warm_up(config: ModelConfig, device: torch.device, dtypes: tuple[torch.dtype, ...]) -> None:
    """Train a model of this kind on a few generated rows and forget two of them, by every support and on all cores.

    Of a model that answers by a response only the loops for blocks are compiled, which matrix factorisation runs too.
    A process does this once.
    """
    if model_of(config).capabilities.response:
        config = MFConfig(rank=_RANK, l2=_L2)
    config = config.model_copy(update={"rank": _RANK, "l2": _L2})
    rule = "positive:1" if config.loss == "bpr" else "rating>=4"
    dataset = split(generate(60, 40, 600, seed=0), LabelRule.parse(rule), 0.0, seed=0)
    for dtype in dtypes:
        objective = model_of(config).objective(dataset.train.copy(), device, dtype)
        parameters = minimise(objective, initial(objective, 0), Plan(tolerance=1e-3)).parameters
        supports = ("residual", "push", "global") if objective.capabilities.row_local else ("global",)
        for support in supports:
            settings = EngineSettings.model_validate({"support": support})
            engine = Engine(config, parameters, dataset.copy(), settings, device)
            engine.apply(Deletion(np.arange(2), np.arange(0)))
            engine.settle()
            with all_cores():
                engine.apply(Deletion(np.arange(300, 302), np.arange(0)))
                engine.settle()
                engine.refine()
