"""Block Krylov subspaces of a symmetric positive semidefinite operator, with Rayleigh-Ritz.

Axes: the operator A is n × n; d columns of the basis, b of a block, f fixed columns.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ifru.proof.sums import EPS

_BLOCKS = 4
"""Blocks of a basis that is to show the largest eigenvalues roughly."""


class Krylov:
    """An orthonormal basis [n, d] that grows by blocks, orthogonal to fixed columns [n, f], and A seen from it [d, d].

    Blocks are orthogonalised against everything before them, so that rounding makes it the basis of a nearby operator.
    """

    def __init__(self, operator: Callable[[Tensor], Tensor], fixed: Tensor) -> None:
        self._operator = operator
        self._fixed = fixed.shape[1]
        self._all = fixed
        self.projected = fixed.new_empty(0, 0)

    @property
    def columns(self) -> Tensor:
        """The basis [n, d]."""
        return self._all[:, self._fixed :]

    @property
    def full(self) -> bool:
        """Whether no dimension is left to grow into."""
        return self._all.shape[1] == len(self._all)

    def grow(self, block: Tensor) -> Tensor:
        """Append a block [n, b], or as much of it as there is room for; returns A times what was appended."""
        block = orthonormal(block, self._all)
        self._all = torch.cat([self._all, block], 1)
        image = self._operator(block)
        self.projected = _bordered(self.projected, self.columns.T @ image)
        return image

    def restart(self, columns: Tensor, values: Tensor) -> None:
        """Forget all but some Ritz vectors [n, d] and their Ritz values [d]."""
        self._all = torch.cat([self._all[:, : self._fixed], columns], 1)
        self.projected = values.diag()


def leading(
    product: Callable[[Tensor], Tensor], size: int, count: int, random: torch.Generator
) -> tuple[Tensor, Tensor]:
    """About the largest eigenvalues [d], descending, of an operator on `size` numbers, and their vectors [n, d].

    count: how many are wanted; more come with them, less exactly. Nothing is said about how near they are.
    """
    basis = Krylov(product, torch.empty(size, 0, dtype=torch.float64))
    block = torch.randn(size, count, generator=random, dtype=torch.float64)
    for _ in range(_BLOCKS):
        block = block if basis.full else basis.grow(block)
    ascending, vectors = torch.linalg.eigh(basis.projected)
    return ascending.flip(0), basis.columns @ vectors.flip(1)


def orthonormal(block: Tensor, basis: Tensor) -> Tensor:
    """Columns [n, b] that with basis [n, d] span what the block [n, b] and it span; fewer where d + b > n."""
    block = block[:, : len(basis) - basis.shape[1]]
    block = block / block.norm(dim=0).clamp_min(torch.finfo(block.dtype).tiny)
    # One pass leaves what its rounding put there, and a block that lies in the span of the basis leaves nothing else.
    for _ in range(4):
        overlap = basis.T @ block
        block = torch.linalg.qr(block - basis @ overlap)[0]
        if float(overlap.norm()) < 64 * EPS:
            break
    return block


def _bordered(small: Tensor, column: Tensor) -> Tensor:
    """A symmetric matrix [d, d] grown by its next block of columns [d + b, b]."""
    d = len(small)
    corner = (column[d:] + column[d:].T) / 2
    return torch.cat([torch.cat([small, column[:d]], 1), torch.cat([column[:d].T, corner], 1)])
