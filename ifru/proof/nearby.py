"""The largest eigenvalue of an operator near one whose spectrum is known, for two products with a few vectors.

T and T' are near each other. Of T orthonormal vectors V are known, and a bound ρ on what they leave. For orthonormal W
near V and every unit vector x that is orthogonal to W

    x·T'x ≤ ρ + θ·s² + 2·e·s + ‖T' − T‖,    s = ‖(I − WWᵀ)V‖,   θ = λ_max(VᵀTV),   e = ‖(I − VVᵀ)TV‖,

so that T', seen from W, has a bound on what it leaves without a search of its own (see `ifru.proof.split`).
`docs/proof.md` derives it. Axes: T is n × n; r vectors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ifru.proof.eigenvalue import LargestEigenvalue
from ifru.proof.operator import Operator
from ifru.proof.split import Split
from ifru.proof.sums import EPS

_ROOM, _CHOICES, _SLACKS = 0.5, 16, 4
"""Share of the room below the largest eigenvalue that is enough, numbers of vectors that are tried, and how much more
than rounding they may leave open."""

_COLUMNS, _POWERS = 16, 3
"""Random vectors that a norm is estimated by, and products that they go through at most."""

FAILURE = 1e-13
"""Probability that the norm of a difference is larger than it was bounded by."""


@dataclass(frozen=True)
class Known:
    """T with vectors V [n, r] of its largest eigenvalues, descending. largest: θ. coupling: e. rest: ρ. slack: on V.

    size: what ‖T‖ is thought to be.
    """

    operator: Operator
    vectors: Tensor
    largest: float
    coupling: float
    rest: float
    slack: float
    size: float

    @staticmethod
    def of(operator: Operator, found: LargestEigenvalue) -> Known:
        """As few of the vectors that were found as say as much of T, and leave room for what is near it."""
        split = found.split
        values, order = torch.sort(split.values, descending=True)
        top, choices = float(values[0]), list[tuple[float, int, float]]()
        # Where vectors of one cluster are kept apart, what couples them with the others does not fade.
        steps = torch.argsort(values[:-1] - values[1:], descending=True)[:_CHOICES] + 1
        for count in sorted({*steps.tolist(), len(order)}):
            rest = _left(split, order[count:], found.rest)
            if rest < top and _some(split, order[:count]).upper(rest) <= top + _SLACKS * split.slack:
                choices.append((top - rest, count, rest))
        enough = _ROOM * max((room for room, *_ in choices), default=0.0)
        _, count, rest = next((each for each in choices if each[0] >= enough), (0.0, len(order), found.rest))
        kept, size = order[:count], float(split.values.abs().max())
        coupling = float(split.coupling[:, kept].norm()) + split.slack
        return Known(operator, split.vectors[:, kept], top + split.slack, coupling, rest, split.slack, size)

    def near(self, operator: Operator, start: Tensor, random: torch.Generator) -> tuple[Split, float]:
        """T' seen from the span of start [n, r'], and what is left of it at most, but for `failure`."""
        vectors = torch.linalg.qr(start)[0]
        image = operator.product(vectors)
        overlap = vectors.T @ image
        values, turn = torch.linalg.eigh((overlap + overlap.T) / 2)
        values, turn = values.flip(0), turn.flip(1)
        vectors, image = vectors @ turn, image @ turn
        split = Split.along(operator, vectors, values, image, self.size, self.rest, len(values))
        away = float((self.vectors - vectors @ (vectors.T @ self.vectors)).norm()) + 64 * EPS * len(values)
        fixed = self.rest + max(self.largest, 0.0) * away**2 + 2 * self.coupling * away + split.slack + self.slack
        # A negative ρ is only so much below zero as a vector stays outside of V.
        fixed += max(-self.rest, 0.0) * away**2
        room = float(values[0]) - fixed
        return split, fixed + self._apart(operator, random, 0.5 * room)

    def _apart(self, other: Operator, random: torch.Generator, wanted: float) -> float:
        """‖T' − T‖ at most: a random start has hardly ever less than a known share in any direction.

        Of b normal vectors the share has the density of χ²_b, and P(χ²_b ≤ q) ≤ (q/2)^(b/2) / Γ(b/2 + 1).
        """
        count = min(_COLUMNS, other.size)
        share = math.sqrt(2) * math.exp((math.log(FAILURE) + math.lgamma(count / 2 + 1)) / count)
        x, error = torch.randn(other.size, count, generator=random, dtype=torch.float64), 0.0
        found, rounding = math.inf, self.operator.rounding + other.rounding
        for power in range(1, _POWERS + 1):
            error = (found * error if error else 0.0) + rounding * float(x.norm())
            x = other.product(x) - self.operator.product(x)
            found = min(found, ((float(x.norm()) + error) / share) ** (1 / power))
            if found <= wanted:
                break
        return found


def _some(split: Split, chosen: Tensor) -> Split:
    """A split along some of its vectors alone."""
    vectors, values, coupling = split.vectors[:, chosen], split.values[chosen], split.coupling[:, chosen]
    return replace(split, vectors=vectors, values=values, coupling=coupling)


def _left(split: Split, chosen: Tensor, rest: float) -> float:
    """λ_max at most of what is left of T where some vectors of a split are not kept, given a bound on its rest."""
    return _some(split, chosen).upper(rest) if len(chosen) else rest
