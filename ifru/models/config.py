"""What a model is, apart from its parameters."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt

LossName = Literal["bce", "squared"]


class ModelConfig(BaseModel):
    """Everything besides the parameters and the interactions that the objective depends on.

    l2 is the coefficient λ of the per-interaction penalty (λ/2)(‖p_u‖² + ‖q_i‖²).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["mf"] = "mf"
    rank: PositiveInt
    bias: bool = False
    loss: LossName = "bce"
    l2: PositiveFloat
