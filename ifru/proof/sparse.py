"""A sparse matrix and its products with blocks of columns, both ways.

Axes: m rows, n columns, N entries, b columns of a block.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

_PIECE = 16
"""Entries of a row that are added up at a time."""


@dataclass(frozen=True)
class SparseMatrix:
    """M [m, n] in float64, stored by rows and by columns.

    operations: additions and multiplications on the way from an entry of x to one of M x or Mᵀ x, at most, the rounding
    of M's own entries included.
    """

    by_row: Rows
    by_column: Rows
    operations: int

    @property
    def shape(self) -> tuple[int, int]:
        return self.by_row.count, self.by_column.count

    @property
    def transposed(self) -> SparseMatrix:
        """Mᵀ, sharing storage."""
        return SparseMatrix(self.by_column, self.by_row, self.operations)

    def product(self, x: Tensor) -> Tensor:
        """M x [m, b], x [n, b]."""
        return self.by_row.times(x)

    def adjoint(self, y: Tensor) -> Tensor:
        """Mᵀ y [n, b], y [m, b]."""
        return self.by_column.times(y)


@dataclass(frozen=True)
class Places:
    """Where the N entries of matrices stand, found out once for all of them.

    rows, columns: the matrix of ones there, and its transpose. merged [N]: an entry's place, in the order of (row,
    column); None where each has its own. same: entries of one place, at most. by_column: places in the order of
    (column, row).
    """

    rows: Rows
    columns: Rows
    merged: Tensor | None
    same: int
    by_column: Tensor

    @staticmethod
    def of(row: Tensor, column: Tensor, by_column: Tensor, shape: tuple[int, int]) -> Places:
        """Of N entries sorted by (row, column); by_column [N]: their positions sorted by (column, row)."""
        first = torch.ones(len(row), dtype=torch.bool)
        first[1:] = (row[1:] != row[:-1]) | (column[1:] != column[:-1])
        merged, same = None, 1
        if not bool(first.all()):
            merged = first.cumsum(0) - 1
            by_column = merged[by_column[first[by_column]]]
            row, column, same = row[first], column[first], int(torch.bincount(merged).max())
        rows, columns = Rows.of(row, column, shape), Rows.of(column[by_column], row[by_column], shape[::-1])
        return Places(rows, columns, merged, same, by_column)

    def matrix(self, value: Tensor) -> SparseMatrix:
        """The matrix with value [N] there, each off by at most six roundings. Entries of the same place add up."""
        if self.merged is not None:
            value = value.new_zeros(len(self.by_column)).index_add_(0, self.merged, value)
        operations = max(self.rows.additions, self.columns.additions) + self.same + 8
        return SparseMatrix(self.rows.filled(value), self.columns.filled(value[self.by_column]), operations)


@dataclass(frozen=True)
class Rows:
    """A sparse matrix by its rows, in short pieces that are added up in pieces again, so that little rounding adds up.

    pieces [p, n]: CSR. sums [m, p]: of ones, that adds the pieces of a row up; None where each row is one piece.
    additions: to an entry of a product, at most.
    """

    pieces: Tensor
    sums: Rows | None
    additions: int

    @property
    def count(self) -> int:
        """m."""
        return int(self.pieces.shape[0]) if self.sums is None else self.sums.count

    def times(self, x: Tensor) -> Tensor:
        """M x [m, b], x [n, b]."""
        found = self.pieces @ x
        return found if self.sums is None else self.sums.times(found)

    def filled(self, value: Tensor) -> Rows:
        """The matrix with value [N] in place of its own."""
        start, column = self.pieces.crow_indices(), self.pieces.col_indices()
        pieces = torch.sparse_csr_tensor(start, column, value, self.pieces.shape, check_invariants=False)
        return Rows(pieces, self.sums, self.additions)

    @staticmethod
    def of(row: Tensor, column: Tensor, shape: tuple[int, int]) -> Rows:
        """Of ones at N places sorted by (row, column)."""
        length = torch.bincount(row, minlength=shape[0])
        longest = int(length.max()) if len(length) else 0
        if longest <= 2 * _PIECE:
            return Rows(_csr(length, column, shape), None, longest)
        count = ((length + _PIECE - 1) // _PIECE).clamp_min(1)
        begin, first = length.cumsum(0) - length, count.cumsum(0) - count
        pieces = int(count.sum())
        piece = first[row] + (torch.arange(len(row)) - begin[row]) // _PIECE
        owner = torch.repeat_interleave(torch.arange(shape[0]), count)
        sums = Rows.of(owner, torch.arange(pieces), (shape[0], pieces))
        within = _csr(torch.bincount(piece, minlength=pieces), column, (pieces, shape[1]))
        return Rows(within, sums, _PIECE + sums.additions)


def _csr(count: Tensor, column: Tensor, shape: tuple[int, int]) -> Tensor:
    """A CSR tensor of ones, from the number of entries in each row, and their columns."""
    start = torch.cat([count.new_zeros(1), count.cumsum(0)])
    # MKL multiplies faster with 32-bit indices.
    index = torch.int32 if len(column) < 2**31 else torch.int64
    one = torch.ones(len(column), dtype=torch.float64)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta", category=UserWarning)
        return torch.sparse_csr_tensor(start.to(index), column.to(index), one, shape, check_invariants=True)
