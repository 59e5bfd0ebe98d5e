"""What the engine knows of a model whose score depends on its own two rows.

Axes: n pairs, K columns of a row.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class PairwiseModel(Protocol):
    """A score s(p, q) of a user row p and an item row q, with its derivatives.

    The engine adds nothing to these three: block, debt and push follow from them (design: 'Two families of models').
    """

    @property
    def width(self) -> int:
        """K: the number of columns of a row, the same on both sides."""
        ...

    @property
    def dot_product(self) -> tuple[int, bool] | None:
        """(rank, bias) where the score is a dot product of rows, for which there are compiled loops; None otherwise."""
        ...

    def scores(self, user: Tensor, item: Tensor) -> Tensor:
        """s [n] of user rows [n, K] and item rows [n, K]."""
        ...

    def jacobians(self, user: Tensor, item: Tensor) -> tuple[Tensor, Tensor]:
        """∂s/∂p [n, K] and ∂s/∂q [n, K]."""
        ...

    def curvature(self, user: Tensor, item: Tensor, along_user: Tensor, along_item: Tensor) -> tuple[Tensor, Tensor]:
        """∇²s applied to a direction: its user part [n, K] and its item part [n, K]."""
        ...
