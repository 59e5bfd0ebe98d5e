"""A symmetric operator seen from some of its Ritz vectors, and what that says about its largest eigenvalue.

Axes: T is n × n; r vectors, those of the largest eigenvalues first, in descending order, then some of the lowest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ifru.proof.krylov import Krylov
from ifru.proof.operator import Operator
from ifru.proof.sums import EPS

ASSUMED = 0.01
"""Share of the rest's spread by which its bound is assumed to exceed what is thought to be left, before it is known."""
_LOWEST = 64
"""Vectors of the lowest eigenvalues that are split off at most."""


@dataclass(frozen=True)
class Split:
    """T in a basis that begins with W = vectors [n, r], orthonormal:

        T = ( diag(values)  Eᵀ   )        E = coupling [n, r] = (I − WWᵀ) T W
            ( E             rest )     rest = (I − WWᵀ) T (I − WWᵀ)

    slack: how far W is from orthonormal, WᵀTW from diagonal and the products from exact, as a norm. outside: what
    λ_max(rest) is thought to be bounded by. tops: how many of the vectors are of the largest eigenvalues.
    """

    operator: Operator
    vectors: Tensor
    values: Tensor
    coupling: Tensor
    slack: float
    outside: float
    tops: int

    @staticmethod
    def along(
        operator: Operator, vectors: Tensor, values: Tensor, image: Tensor, size: float, outside: float, tops: int
    ) -> Split:
        """vectors [n, r]: orthonormal to rounding, image [n, r]: T times them. size: what ‖T‖ is thought to be."""
        overlap = vectors.T @ image
        off = float((overlap - values.diag()).norm())
        skew = float((vectors.T @ vectors - torch.eye(len(values), dtype=values.dtype)).norm())
        root = math.sqrt(len(values))
        slack = off + 2 * skew * size + root * operator.rounding
        slack += 8 * EPS * root * math.sqrt(len(vectors)) * size
        return Split(operator, vectors, values, image - vectors @ overlap, slack, outside, tops)

    @property
    def lower(self) -> float:
        """λ_max(T) at least."""
        return float(self.values[0]) - self.slack

    def upper(self, rest: float) -> float:
        """λ_max(T) at most, given a bound on λ_max(rest): the matrix only grows where rest·I takes the rest's place.

        Of rest·I only the part that E reaches is coupled with the values.
        """
        if math.isinf(rest):
            return rest
        corner = rest * torch.eye(len(self._reached), dtype=self.values.dtype)
        whole = torch.cat([torch.cat([self.values.diag(), self._reached.T], 1), torch.cat([self._reached, corner], 1)])
        spectrum = torch.linalg.eigvalsh(whole)
        return float(spectrum[-1]) + len(whole) * EPS * float(spectrum.abs().max()) + self.slack

    @cached_property
    def _reached(self) -> Tensor:
        """E [min(n, r), r] in an orthonormal basis of what it reaches."""
        reached: Tensor = torch.linalg.qr(self.coupling, mode="r")[1]
        return reached


@dataclass(frozen=True)
class Ritz:
    """Ritz vectors of a Krylov basis of T: tops of the largest values, then of the lowest; fields as in `Split`.

    open [tops]: norms of the couplings. outside [tops]: what the rest is thought to be bounded by where the first
    1, 2, … of the tops are split off.
    """

    operator: Operator
    vectors: Tensor
    values: Tensor
    image: Tensor
    open: Tensor
    outside: Tensor
    size: float

    @staticmethod
    def of(operator: Operator, basis: Krylov, most: int) -> Ritz:
        """At most `most` tops, and the lowest values that are larger in modulus than any top."""
        ascending, vectors = torch.linalg.eigh(basis.projected)
        tops = min(most, len(ascending))
        low = min(int((ascending < -ascending[-1].clamp_min(0)).sum()), len(ascending) - tops, _LOWEST)
        values = torch.cat([ascending.flip(0)[:tops], ascending[:low]])
        columns = basis.columns @ torch.cat([vectors.flip(1)[:, :tops], vectors[:, :low]], 1)
        image = operator.product(columns)
        residual = (image - columns * values)[:, :tops].norm(dim=0)
        # An eigenvalue lies within the residual of each Ritz value. How far others are above a vector that has hardly
        # converged nobody knows; for MᵀM this is the square of what holds for M.
        above = 2 * residual + residual.square() / values[:tops].abs().clamp_min(torch.finfo(values.dtype).tiny)
        tail = 0.0 if basis.full else float(above[-1])
        others = ascending[low : len(ascending) - tops]
        reach = torch.cat([values[:tops] + above, others.flip(0) + tail, above.new_full((1,), tail)])
        below = reach.flip(0).cummax(0)[0].flip(0)[1 : tops + 1]
        bottom = min(float(others[0]) if len(others) else 0.0, 0.0) - tail
        size = float(ascending.abs().max())
        return Ritz(operator, columns, values, image, residual, below + ASSUMED * (below - bottom), size)

    @property
    def coupling(self) -> Tensor:
        """What T adds to the tops outside of their span [n, tops], roughly."""
        tops = len(self.open)
        return self.image[:, :tops] - self.vectors[:, :tops] * self.values[:tops]

    def split(self) -> Split:
        """Along as many of the tops as promise the best bound on λ_max, and all of the others."""
        tops = self._best()
        chosen = torch.cat([torch.arange(tops), torch.arange(len(self.open), len(self.values))])
        vectors, values, image = self.vectors[:, chosen], self.values[chosen], self.image[:, chosen]
        return Split.along(self.operator, vectors, values, image, self.size, float(self.outside[tops - 1]), tops)

    def _best(self) -> int:
        """How many to keep, were each coupled to the rest by itself."""
        room = self.values[0] - self.outside
        worst = self.values[None, : len(self.open)] + self.open.square()[None] / room[:, None]
        kept = torch.ones_like(worst, dtype=torch.bool).tril()
        bound = torch.where(room > 0, worst.where(kept, -torch.inf).amax(1), torch.inf)
        # The largest of equal choices: it leaves the least.
        return len(bound) - int(bound.flip(0).argmin())
