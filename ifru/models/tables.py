"""The parameters of a pairwise model: one row per user, one per item."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Tables:
    """user [U, K], item [I, K]. K = rank, plus one last column for the bias where the model has biases."""

    user: Tensor
    item: Tensor

    def stacked(self) -> Tensor:
        """A copy as one table [U + I, K], users first: what the engine computes on."""
        return torch.cat([self.user, self.item])

    @staticmethod
    def unstacked(theta: Tensor, users: int) -> Tables:
        """Views into a stacked table [U + I, K]."""
        return Tables(theta[:users], theta[users:])
