"""A sparse matrix and its products with blocks of columns, both ways.

Axes: m rows, n columns, N entries, b columns of a block.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class SparseMatrix:
    """M [m, n] in float64, stored by rows and by columns.

    operations: additions and multiplications on the way from an entry of x to one of M x or Mᵀ x, at most, the rounding
    of M's own entries included.
    """

    by_row: Tensor
    by_column: Tensor
    operations: int

    @property
    def shape(self) -> tuple[int, int]:
        return self.by_row.shape[0], self.by_row.shape[1]

    @property
    def transposed(self) -> SparseMatrix:
        """Mᵀ, sharing storage."""
        return SparseMatrix(self.by_column, self.by_row, self.operations)

    def product(self, x: Tensor) -> Tensor:
        """M x [m, b], x [n, b]."""
        return self.by_row @ x

    def adjoint(self, y: Tensor) -> Tensor:
        """Mᵀ y [n, b], y [m, b]."""
        return self.by_column @ y

    @staticmethod
    def of(row: Tensor, column: Tensor, value: Tensor, by_column: Tensor, shape: tuple[int, int]) -> SparseMatrix:
        """From N entries sorted by (row, column); by_column [N]: their positions sorted by (column, row).

        Entries of the same place add up. value [N]: each off by at most six roundings.
        """
        first = torch.ones(len(row), dtype=torch.bool)
        first[1:] = (row[1:] != row[:-1]) | (column[1:] != column[:-1])
        place = first.cumsum(0) - 1
        order = place[by_column[first[by_column]]]
        most = [int(torch.bincount(of).max()) if len(of) else 0 for of in (row, column)]
        row, column = row[first], column[first]
        merged = value.new_zeros(len(row)).index_add_(0, place, value)
        in_row, in_column = torch.bincount(row, minlength=shape[0]), torch.bincount(column, minlength=shape[1])
        return SparseMatrix(
            _csr(in_row, column, merged, shape),
            _csr(in_column, row[order], merged[order], (shape[1], shape[0])),
            # Entries of one place first add up, then the places of a row: as many additions as there are entries.
            operations=max(most) + 8,
        )


def _csr(count: Tensor, column: Tensor, value: Tensor, shape: tuple[int, int]) -> Tensor:
    """A CSR tensor from the number of entries in each row, and their columns and values."""
    start = torch.cat([count.new_zeros(1), count.cumsum(0)])
    # MKL multiplies faster with 32-bit indices.
    index = torch.int32 if len(value) < 2**31 else torch.int64
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta", category=UserWarning)
        return torch.sparse_csr_tensor(start.to(index), column.to(index), value, shape, check_invariants=True)
