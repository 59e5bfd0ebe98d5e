"""Compile what will be timed: loops are compiled for a precision when they first run."""

from __future__ import annotations

import torch

from benchmarks.base import CPU
from ifru.models import MFConfig
from ifru.training.warm_up import warm_up as warm_up_for


def warm_up() -> None:
    """In both precisions, with every support of the engine."""
    warm_up_for(MFConfig(rank=1, l2=0.1), CPU, (torch.float32, torch.float64))
