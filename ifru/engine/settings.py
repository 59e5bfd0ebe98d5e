"""What an operator may decide about the influence update."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt

SupportName = Literal["auto", "residual", "push", "k_hop", "global"]


class EngineSettings(BaseModel):
    """tolerance: the residual influence that an update is published with; 0.2 is a first answer, in a few milliseconds.
    A neural model of much data is published after one block step, with what that leaves, and comes there in idle time.
    refined: the residual influence that refinement in idle time goes down to.
    support: which rows move; auto chooses by predicted work.
    products: bound on Hessian products of one solve. steps: bound on re-linearisations of one update.
    cache_bytes: budget of the curvature cache.
    push_rows, push_interactions, push_milliseconds: what one push may move, read and take; None: no bound.
    k_hop_hops, k_hop_share: how far importance spreads, and the share of the rows it reaches that move.
    k_hop_damping: multiple of the diagonal blocks that the solve adds to the Hessian.
    device: where all of it is computed, for `ifru.kernels.device.device_of`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tolerance: float = Field(default=0.01, gt=0, lt=1)
    refined: float = Field(default=0.0005, gt=0, lt=1)
    support: SupportName = "auto"
    products: PositiveInt = 200
    steps: PositiveInt = 20
    cache_bytes: PositiveInt = 1 << 30
    push_rows: PositiveInt | None = None
    push_interactions: PositiveInt | None = None
    push_milliseconds: PositiveFloat | None = None
    k_hop_hops: NonNegativeInt = 2
    k_hop_share: float = Field(default=0.5, gt=0, le=1)
    k_hop_damping: float = Field(default=0.0, ge=0)
    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
