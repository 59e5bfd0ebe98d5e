"""Matrix factorisation: s = p·q, with biases s = p·q + b + c.

Axes: n pairs, K = rank (+ 1 with biases: the last column of a row is its bias).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class MatrixFactorization:
    """The score is bilinear, so each row's Jacobian is the other row, and ∇²s only couples the two."""

    rank: int
    bias: bool = False

    @property
    def width(self) -> int:
        return self.rank + self.bias

    @property
    def dot_product(self) -> tuple[int, bool]:
        return self.rank, self.bias

    def scores(self, user: Tensor, item: Tensor) -> Tensor:
        score = (user[:, : self.rank] * item[:, : self.rank]).sum(1)
        return score + user[:, -1] + item[:, -1] if self.bias else score

    def jacobians(self, user: Tensor, item: Tensor) -> tuple[Tensor, Tensor]:
        return self._seen_from_the_other_side(item, 1.0), self._seen_from_the_other_side(user, 1.0)

    def curvature(self, user: Tensor, item: Tensor, along_user: Tensor, along_item: Tensor) -> tuple[Tensor, Tensor]:
        return self._seen_from_the_other_side(along_item, 0.0), self._seen_from_the_other_side(along_user, 0.0)

    def _seen_from_the_other_side(self, rows: Tensor, constant: float) -> Tensor:
        if not self.bias:
            return rows
        return torch.cat([rows[:, : self.rank], torch.full_like(rows[:, :1], constant)], dim=1)
