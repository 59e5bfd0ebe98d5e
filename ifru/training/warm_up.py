"""Compiling ahead what training and updating run: a loop is compiled for a precision when it first runs.

What is compiled is kept on disk, for later processes too; these only load it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, cached_property, partial
from typing import cast

import numpy as np
import torch

from ifru.engine.engine import Engine
from ifru.engine.settings import EngineSettings
from ifru.interactions import Deletion
from ifru.interactions.generated import generate
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import split
from ifru.models import MFConfig, ModelConfig, model_of
from ifru.objective import Linearised, RowLocal
from ifru.objective.parameters import Parameters
from ifru.training.newton import Plan, initial, minimise

_RANK = 16
_L2 = 0.1
"""So many columns that the generated rows take every form of a block, and a penalty that is soon trained under."""


@cache
def warm_up(
    config: ModelConfig, device: torch.device, dtypes: tuple[torch.dtype, ...], backwards: bool = False
) -> None:
    """Train a model of this kind on a few generated rows and forget two of them, by every support.

    Of a model that answers by a response only the loops for blocks are compiled, which matrix factorisation runs too.
    backwards: begin with what is compiled last otherwise, so that two processes share the work by what they keep.
    A process does this once.
    """
    for dtype in dtypes:
        steps = Rehearsal(config, device, dtype).steps
        for step in reversed(steps) if backwards else steps:
            step()


class Rehearsal:
    """What training and updates of a kind of model do, on a few generated rows."""

    def __init__(self, config: ModelConfig, device: torch.device, dtype: torch.dtype) -> None:
        self.config, self._device = rehearsed(config), device
        rule = LabelRule.parse("positive:1" if config.loss == "bpr" else "rating>=4")
        self._dataset = split(generate(60, 40, 600, seed=0), rule, 0.0, seed=0)
        self.objective = model_of(self.config).objective(self._dataset.train.copy(), device, dtype)

    @property
    def steps(self) -> Sequence[Callable[[], object]]:
        """In this order or the other: the last ones do not wait for what the first compile."""
        if not self.objective.capabilities.row_local:
            return self._multiply, self._train, partial(self._forget, "global")
        forgotten = (partial(self._forget, support) for support in ("residual", "push", "global"))
        return self._multiply, self._train, self._move, *forgotten

    def derive(self) -> Linearised:
        """What everything begins with."""
        return self.objective.at(initial(self.objective, 0))

    def _multiply(self) -> None:
        """What a solve runs, at a point that is not trained."""
        point = self.derive()
        step = torch.full_like(point.theta, 1e-3)
        point.advance(step)
        point.product(step)

    def _move(self) -> None:
        """What a step of rows of both sides runs: not every support takes one on so few rows."""
        point = cast(RowLocal, self.derive())
        rows = torch.arange(0, len(point.theta), 7, device=self._device)
        point.update(rows, point.theta[rows])

    def _train(self) -> None:
        minimise(self.objective, initial(self.objective, 0), Plan(tolerance=1e-3))

    def _forget(self, support: str) -> None:
        settings = EngineSettings.model_validate({"support": support})
        engine = Engine(self.config, self._parameters, self._dataset.copy(), settings, self._device)
        for rows in (np.arange(2), np.arange(300, 302)):
            engine.apply(Deletion(rows, np.arange(0)))
            engine.settle()
        engine.refine()

    @cached_property
    def _parameters(self) -> Parameters:
        """By sweeps alone, near enough to the minimum for an update."""
        return minimise(self.objective, initial(self.objective, 0), Plan(steps=0)).parameters


def rehearsed(config: ModelConfig) -> ModelConfig:
    """A small model that runs the same loops."""
    if model_of(config).capabilities.response:
        config = MFConfig(rank=_RANK, l2=_L2)
    return config.model_copy(update={"rank": _RANK, "l2": _L2})
