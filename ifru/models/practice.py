"""How models without a stationary point are trained: by steps of Adam on mini-batches, for so many epochs."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt


class Practice(BaseModel):
    """batch: interactions of a step. step: Adam's step size. epochs: passes over all interactions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch: PositiveInt
    step: Annotated[PositiveFloat, Field(allow_inf_nan=False)]
    epochs: PositiveInt
