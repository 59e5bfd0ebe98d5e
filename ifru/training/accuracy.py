"""How exactly a model is trained, and how exactly it has to be."""

from __future__ import annotations

import torch

TOLERANCES = {torch.float32: 1e-5, torch.float64: 1e-8}
"""Gradient norm at which training ends, in √L: what a precision reaches with certainty."""

POLISHED = 1e-10
"""The same for polishing, which ends where rounding does if that is sooner."""

PROVEN = {torch.float32: 1e-5, torch.float64: 1e-8}
"""Relative gap up to which an optimum counts as proven."""

LARGE = 1 << 18
"""Rows to train on from which the loops of a second precision, which may have to be compiled, are soon paid for."""


def solving(dtype: torch.dtype, rows: int) -> torch.dtype:
    """What to solve linear systems in: float32 takes half the time and memory, and Newton's steps correct it."""
    return torch.float32 if rows >= LARGE else dtype


def precision(tolerance: float, dtype: torch.dtype, rows: int) -> torch.dtype:
    """What to compute everything in down to a gradient norm of `tolerance`, in √L, on the way to a model in `dtype`."""
    return solving(dtype, rows) if tolerance >= TOLERANCES[torch.float32] else dtype
