"""What the pairwise objective asks of a model: a score of two rows, and its derivatives.

Axes: n pairs, K columns of a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from ifru.objective.protocol import Capabilities


class PairwiseScore(Protocol):
    """A score s(p, q) of a user row p and an item row q."""

    @property
    def capabilities(self) -> Capabilities:
        """What follows from its form."""
        ...

    @property
    def columns(self) -> Mapping[str, int]:
        """What a row is made of: name -> number of columns, K in all; the same on both sides."""
        ...

    def scores(self, user: Tensor, item: Tensor) -> Tensor:
        """s [n] of user rows [n, K] and item rows [n, K]."""
        ...

    def jacobians(self, user: Tensor, item: Tensor) -> tuple[Tensor, Tensor]:
        """∂s/∂p [n, K] and ∂s/∂q [n, K]."""
        ...

    def curvature(self, user: Tensor, item: Tensor, along_user: Tensor, along_item: Tensor) -> tuple[Tensor, Tensor]:
        """∇²s times a direction: its user part [n, K] and its item part [n, K]."""
        ...


class Differentiated:
    """Jacobians and curvature of `score`, which a model writes for one pair of rows [K] alone, by torch.func."""

    def score(self, user: Tensor, item: Tensor) -> Tensor:
        """s of one user row [K] and one item row [K]: a scalar, twice differentiable."""
        raise NotImplementedError

    def scores(self, user: Tensor, item: Tensor) -> Tensor:
        # torch.func maps over one pair at least.
        if len(user) == 0:
            return user.new_empty(0)
        found: Tensor = torch.func.vmap(self.score)(user, item)
        return found

    def all_scores(self, user: Tensor, item: Tensor) -> Tensor:
        """s [n, m] of user rows [n, K] with all item rows [m, K]."""
        return torch.stack([self.scores(row.expand_as(item), item) for row in user])

    def jacobians(self, user: Tensor, item: Tensor) -> tuple[Tensor, Tensor]:
        if len(user) == 0:
            return torch.zeros_like(user), torch.zeros_like(item)
        of_user, of_item = torch.func.vmap(torch.func.grad(self.score, argnums=(0, 1)))(user, item)
        return of_user, of_item

    def curvature(self, user: Tensor, item: Tensor, along_user: Tensor, along_item: Tensor) -> tuple[Tensor, Tensor]:
        if len(user) == 0:
            return torch.zeros_like(user), torch.zeros_like(item)
        found = torch.func.jvp(self.jacobians, (user, item), (along_user, along_item))[1]
        return found[0], found[1]
