"""How exactly a model is trained, and how exactly it has to be."""

from __future__ import annotations

import torch

TOLERANCES = {torch.float32: 1e-5, torch.float64: 1e-8}
"""Gradient norm at which training ends, in √L: what a precision reaches with certainty."""

POLISHED = 1e-10
"""The same for polishing, which ends where rounding does if that is sooner."""

PROVEN = {torch.float32: 1e-5, torch.float64: 1e-8}
"""Relative gap up to which an optimum counts as proven."""
