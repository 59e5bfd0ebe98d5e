"""Leading singular triplets of a sparse matrix, and what they say about its norm.

Axes: M is m × n with m ≥ n; r triplets.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ifru.proof.krylov import Krylov
from ifru.proof.sparse import SparseMatrix
from ifru.proof.sums import EPS

ASSUMED = 1.01
"""Factor by which the bound on the rest is assumed to exceed what is thought to be left, before it is known."""
_PRECISION = 1e-13
"""Relative accuracy to which a bound is made as small as it can be."""
_SMALLEST = 0.1
"""Triplets below this share of the largest one are left to the rest: their left vectors would be inexact."""


@dataclass(frozen=True)
class Triplets:
    """M split along two subspaces, W_U = left [m, r] and W_V = right [n, r], of orthonormal columns.

        M W_V = W_U·diag(values)
        coupling [n, r] = (I − W_V W_Vᵀ) Mᵀ W_U
        rest = (I − W_U W_Uᵀ) M (I − W_V W_Vᵀ)

    values [r], descending. slack: how far the first line and the orthonormality are from being exact, rounding
    included, as a norm. outside: what the norm of the rest is thought to be at most.
    """

    matrix: SparseMatrix
    left: Tensor
    right: Tensor
    values: Tensor
    coupling: Tensor
    slack: float
    outside: float

    @property
    def lower(self) -> float:
        """σ_max(M) at least."""
        return max(float(self.values[0]) - self.slack, 0.0)

    def upper(self, rest: float) -> float:
        """σ_max(M) at most, given a bound on the norm of the rest.

        t ≥ σ² follows from t > rest² and  diag(values)² + t/(t − rest²)·couplingᵀ coupling ≼ t·I,  by the Schur
        complement of t·I − M Mᵀ. The smallest such t lies between any t that does and the largest eigenvalue there.
        """
        squares, overlaps = self.values.square().diag(), self.coupling.T @ self.coupling

        def needed(t: float) -> float:
            return float(torch.linalg.eigvalsh(squares + overlaps * (t / (t - rest * rest)))[-1])

        largest = max(float(self.values[0]), rest)
        low, high = largest**2, (largest + float(self.coupling.norm())) ** 2
        while high > rest * rest and high - low > _PRECISION * high:
            low = max(low, needed(high))
            middle = low + (high - low) / 2
            above = min(needed(low) if low > rest * rest else math.inf, high)
            if above < middle:
                high = above
            elif middle in (low, high):
                break
            elif middle > rest * rest and needed(middle) <= middle:
                high = middle
            else:
                low = middle
        return math.sqrt(high) * (1 + len(self.values) * EPS) + self.slack


@dataclass(frozen=True)
class Ritz:
    """The leading Ritz triplets of a Krylov basis of MᵀM; fields as in `Triplets`.

    open [r]: norms of the couplings. below [r]: what is thought to be left after each triplet.
    """

    matrix: SparseMatrix
    left: Tensor
    right: Tensor
    values: Tensor
    coupling: Tensor
    open: Tensor
    below: Tensor

    @staticmethod
    def of(matrix: SparseMatrix, basis: Krylov, most: int) -> Ritz:
        """At most `most` triplets."""
        squares, vectors = torch.linalg.eigh(basis.projected)
        values = squares.flip(0).clamp_min(0).sqrt()
        most = min(most, int((values >= _SMALLEST * values[0]).sum()))
        right = basis.columns @ vectors.flip(1)[:, :most]
        left = matrix.product(right) / values[:most]
        coupling = matrix.adjoint(left) - right * values[:most]
        residual = coupling.norm(dim=0)
        # A singular value lies within the residual of each Ritz value; of what is outside the basis nothing is known.
        tail = 0.0 if basis.full else float(residual[-1])
        reach = torch.cat([values[:most] + residual, values[most:] + tail, values.new_full((1,), tail)])
        below = reach.flip(0).cummax(0)[0].flip(0)[1 : most + 1]
        return Ritz(matrix, left, right, values[:most], coupling, residual, below)

    def triplets(self) -> Triplets:
        """As many of the leading triplets as promise the best bound on σ_max."""
        kept = self._best()
        left, right, values = self.left[:, :kept], self.right[:, :kept], self.values[:kept]
        coupling = self.coupling[:, :kept] - right @ (right.T @ self.coupling[:, :kept])
        off = float((self.matrix.product(right) - left * values).norm())
        skew = sum(float((w.T @ w - torch.eye(kept, dtype=w.dtype)).norm()) for w in (left, right))
        top, size = float(values[0]), kept * sum(self.matrix.shape)
        slack = off + 2 * skew * top + math.sqrt(kept) * self.matrix.rounding + 8 * EPS * math.sqrt(size) * top
        return Triplets(self.matrix, left, right, values, coupling, slack, float(self.below[kept - 1]))

    def _best(self) -> int:
        """How many to keep, were each triplet coupled to the rest by itself."""
        room = 1 - (ASSUMED * self.below / self.values[0]).square()
        worst = self.values.square()[None] + self.open.square()[None] / room.clamp_min(EPS)[:, None]
        bound = torch.where(room > 0, worst.tril().amax(1), torch.inf)
        # The largest of equal choices: it leaves the least.
        return len(bound) - int(bound.flip(0).argmin())
