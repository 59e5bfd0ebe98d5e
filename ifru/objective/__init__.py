"""The training objective and its derivatives, by compiled loops where there are some, else by torch operators."""

from __future__ import annotations

import torch

from ifru.interactions.table import Interactions
from ifru.models import ModelConfig, model_of
from ifru.objective.compiled import CompiledObjective
from ifru.objective.losses import loss_of
from ifru.objective.protocol import Advance, Coupling, Objective, Slopes, Spread
from ifru.objective.torch_path import TorchObjective

__all__ = [
    "Advance",
    "CompiledObjective",
    "Coupling",
    "Objective",
    "Slopes",
    "Spread",
    "TorchObjective",
    "objective_of",
]


def objective_of(
    config: ModelConfig,
    interactions: Interactions,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
) -> Objective:
    """The fastest implementation of a model's objective on a device."""
    model, loss = model_of(config), loss_of(config.loss)
    if device.type == "cpu" and model.dot_product is not None:
        return CompiledObjective(model, loss, config.l2, interactions, dtype)
    return TorchObjective(model, loss, config.l2, interactions, device, dtype)
