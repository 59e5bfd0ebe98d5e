"""Squares of the scores of all pairs, and what recorded ones add: iALS (Hu, Koren and Volinsky 2008).

    L(θ) = ½·w₀·Σ_{u,i} s_ui² + ½·Σ_z [c_z·(y_z − s_z)² − w₀·s_z²] + penalty        s = p·q,  c = alpha·weight

The first sum is ½·w₀·⟨PᵀP, QᵀQ⟩ and costs nothing per pair. A pair that is recorded several times gives up its w₀·s²
once. A row without interactions is zero, which is where its own terms are least, so that it costs nothing.

Axes as in `ifru.objective.protocol`; U users, I items.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import torch
from torch import Tensor

from ifru.interactions import Interactions
from ifru.interactions.table import Bool, Int64
from ifru.kernels.dispatch import compiled
from ifru.kernels.score import FLAT, QUADRATIC
from ifru.objective.bilinear import BilinearObjective
from ifru.objective.losses import Squared
from ifru.objective.pairwise import PairwiseObjective, PairwisePoint
from ifru.objective.protocol import Capabilities, GradientChange, Linearised
from ifru.objective.score import PairwiseScore

_MANY = 1 << 20
"""Factors that a row counts as having where an interaction takes away from its block, in which it has no factor."""


@dataclass(frozen=True)
class Weighting:
    """alpha: the confidence c of an interaction of weight 1. unobserved: w₀.

    by_degree: whether the ridge is λ times the interactions of a row, rather than λ.
    """

    alpha: float
    unobserved: float
    by_degree: bool

    def degree(self, of_rows: Int64) -> Int64:
        """What λ is multiplied by in the ridge of rows [S] with so many retained interactions."""
        return of_rows if self.by_degree else np.minimum(of_rows, 1)

    def of_each(self, l2: float) -> float:
        """The ridge that a row loses with each of its interactions, but for the last one."""
        return l2 if self.by_degree else 0.0


class _Recorded(PairwiseObjective):
    """½·(c − w₀)·s² − c·y·s of recorded pairs, and the penalty: `weight` holds c − w₀, `label` c·y.

    w₀ is given up by the first retained interaction of a pair, the bearer. A weight of zero means a deleted
    interaction, so that the smallest positive number stands for one of retained ones.
    """

    def __init__(
        self,
        score: PairwiseScore,
        weighting: Weighting,
        l2: float,
        interactions: Interactions,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self._weighting, self._l2 = weighting, l2
        super().__init__(score, Squared(), weighting.of_each(l2), interactions, device, dtype)
        self._weigh()

    def _weigh(self) -> None:
        """Take the weights and labels of all interactions. factor_counts: as `HavingCommon` has them."""
        table = self.interactions
        self.bearing = _bearers(table, np.arange(len(table)))
        self.repeated = int(self.bearing.sum()) < table.retained
        self.label.copy_(self.labels_of(np.arange(len(table))))
        self.weight.copy_(self._weights(np.arange(len(table))) * torch.from_numpy(table.alive))
        self.factor_counts = self._counted(np.arange(len(table)))

    def delete(self, interactions: Int64) -> Tensor:
        self.factor_counts -= self._counted(interactions)
        return super().delete(interactions)

    def curved(self, interactions: Int64) -> Int64:
        """Those of interactions [M] whose pair weighs more than one without interactions."""
        return interactions[self.weight[torch.from_numpy(interactions).to(self.device)].cpu().numpy() > FLAT]

    def _counted(self, rows: Int64) -> Int64:
        """How much interactions [M] make of the factor counts [R]; very much where they take away from a block."""
        table, weight = self.interactions, self.weight[torch.from_numpy(rows).to(self.device)].cpu().numpy()
        count = (weight > FLAT) + _MANY * (weight < -FLAT)
        ends = np.concatenate([table.user[rows], table.incidence.far[rows]])
        return np.bincount(ends, np.concatenate([count, count]), minlength=self.rows).astype(np.int64)

    def losses(self, score: Tensor, part: Tensor) -> Tensor:
        return (0.5 * self.weight[part].double() * score - self._label(part).double()) * score

    def loss_derivatives(self, score: Tensor, part: Tensor | slice) -> tuple[Tensor, Tensor]:
        weight = self.weight[part]
        return weight * score - self._label(part), weight.clone()

    def ridge_of(self, degree: Int64) -> Tensor:
        return torch.from_numpy(self._l2 * self._weighting.degree(degree)).to(self.device, self.dtype)

    def remove(self, point: Linearised, interactions: Int64) -> GradientChange:
        if isinstance(point, PairwisePoint) and self.repeated:
            self._pass_on(point, interactions)
        return super().remove(point, interactions)

    def labels_of(self, interactions: Int64) -> Tensor:
        table, alpha = self.interactions, self._weighting.alpha
        return torch.from_numpy(alpha * table.weight[interactions].astype(np.float64) * table.label[interactions])

    def _pass_on(self, point: PairwisePoint, deleted: Int64) -> None:
        """Where bearers are deleted [M], others of their pairs give up w₀ in their place; the gradient stays."""
        table = self.interactions
        near = table.incidence.of(np.unique(table.user[deleted]))
        before, now = near[self.bearing[near]], _bearers(table, near)
        new = near[now & ~self.bearing[near]]
        self.bearing[near] = now
        pair = table.user[before].astype(np.int64) * table.items + table.item[before]
        old = before[pair.searchsorted(table.user[new].astype(np.int64) * table.items + table.item[new])]
        for rows in (old, new):
            listed = torch.from_numpy(rows).to(self.device)
            self.factor_counts -= self._counted(rows)
            self.weight[listed] = self._weights(rows).to(self.weight)
            self.factor_counts += self._counted(rows)
            point.first[listed], point.second[listed] = self.loss_derivatives(self.scores(point.theta, listed), listed)

    def _weights(self, rows: Int64) -> Tensor:
        """c − w₀ [M] of bearers among interactions, c of others."""
        weighting, table = self._weighting, self.interactions
        confidence = weighting.alpha * table.weight[rows].astype(np.float64)
        left = torch.from_numpy(confidence - weighting.unobserved * self.bearing[rows])
        tiny = torch.finfo(self.dtype).tiny
        return torch.where(left.to(self.dtype) == 0, tiny, left)

    def _label(self, part: Tensor | slice) -> Tensor:
        return torch.where(self.weight[part] != 0, self.label[part], 0)


class _CompiledRecorded(_Recorded, BilinearObjective):
    """`_Recorded` by compiled loops."""

    def __init__(
        self, score: PairwiseScore, weighting: Weighting, l2: float, interactions: Interactions, dtype: torch.dtype
    ) -> None:
        self._weighting, self._l2 = weighting, l2
        BilinearObjective.__init__(self, score, Squared(), weighting.of_each(l2), interactions, dtype)
        self.form = self.form._replace(loss=QUADRATIC)
        self._weigh()


class AllPairsObjective:
    """`Objective` of all pairs. score: a dot product of rows without biases."""

    def __init__(
        self,
        score: PairwiseScore,
        weighting: Weighting,
        l2: float,
        interactions: Interactions,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self.recorded: _Recorded = (
            _CompiledRecorded(score, weighting, l2, interactions, dtype)
            if compiled(device)
            else _Recorded(score, weighting, l2, interactions, device, dtype)
        )
        self.weighting, self.l2, self.interactions = weighting, l2, interactions
        self.capabilities: Capabilities = score.capabilities
        self.layout, self.device, self.dtype = self.recorded.layout, device, dtype
        self.ridge, self.users = self.recorded.ridge, interactions.users
        self.rows = interactions.users + interactions.items

    @property
    def factor_counts(self) -> Int64:
        """[R]."""
        return self.recorded.factor_counts

    def curved(self, interactions: Int64) -> Int64:
        return self.recorded.curved(interactions)

    def at(self, theta: Tensor) -> AllPairsPoint:
        return AllPairsPoint(self, theta, self.recorded.at(theta))

    def serving(self, theta: Tensor) -> Tensor:
        return theta

    def remove(self, point: Linearised, interactions: Int64) -> GradientChange:
        """Rows that have nothing left become zero at once: then all rows of the other side have a spillover."""
        if not isinstance(point, AllPairsPoint):
            raise TypeError(f"a point of {type(self).__name__} is needed, not {type(point).__name__}")
        change = self.recorded.remove(point.recorded, interactions)
        rows, direct, theta = change.rows, change.direct, point.theta
        emptied = rows[self.ridge[rows] == 0]
        if len(emptied) == 0:
            point.gradient[rows] += direct
            return GradientChange(rows, direct, None, point)
        of_users, of_items = (theta[side] for side in (emptied[emptied < self.users], emptied[emptied >= self.users]))
        lost = of_users.T @ of_users, of_items.T @ of_items
        theta[emptied] = 0
        spillover = -self.weighting.unobserved * self.across(theta, lost)
        return GradientChange(rows, direct, spillover, AllPairsPoint(self, theta, point.recorded, value=point.value))

    def relabel(self, interactions: Int64) -> bool:
        return self.recorded.relabel(interactions)

    def constant(self) -> float:
        """½·Σ c·y² over the retained interactions."""
        table = self.interactions
        squares = table.weight.astype(np.float64) * table.label.astype(np.float64) ** 2
        return self.weighting.alpha * float(squares[table.alive].sum()) / 2

    def grams(self, a: Tensor, b: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Σ_u a_uᵀb_u and Σ_i a_iᵀb_i [K, K] of rows a and b [R, K], which are the same where b is not given."""
        b = a if b is None else b
        return a[: self.users].T @ b[: self.users], a[self.users :].T @ b[self.users :]

    def across(self, x: Tensor, grams: tuple[Tensor, Tensor]) -> Tensor:
        """Rows x [R, K], each times the matrix of the other side."""
        of_users, of_items = grams
        return torch.cat([x[: self.users] @ of_items, x[self.users :] @ of_users])


class AllPairsPoint:
    """`Bipartite` at θ. recorded: the part of recorded pairs and the penalty; grams: PᵀP and QᵀQ."""

    def __init__(
        self,
        objective: AllPairsObjective,
        theta: Tensor,
        recorded: PairwisePoint,
        value: float | None = None,
        bent: bool = True,
    ) -> None:
        """bent: whether scores are what they are, and not linear in θ."""
        self.objective, self.theta, self.recorded = objective, theta, recorded
        self.grams = objective.grams(theta)
        self.gradient = recorded.gradient.add(objective.across(theta, self.grams), alpha=self._unobserved)
        self._value, self._bent = value, bent

    @property
    def value(self) -> float:
        if self._value is None:
            of_users, of_items = (gram.double() for gram in self.grams)
            all_pairs = 0.5 * self._unobserved * float((of_users * of_items).sum())
            self._value = all_pairs + self.recorded.value + self.objective.constant()
        return self._value

    def linear(self) -> Linearised:
        return AllPairsPoint(self.objective, self.theta, self.recorded.linear(), bent=False)

    def product(self, x: Tensor) -> Tensor:
        objective = self.objective
        # Both sides of a mixed Gram matrix and its transpose come from one product.
        mixed = [gram + gram.T if self._bent else gram.T for gram in objective.grams(self.theta, x)]
        out = objective.across(x, self.grams) + objective.across(self.theta, (mixed[0], mixed[1]))
        return self.recorded.product(x).add_(out, alpha=self._unobserved)

    def advance(self, x: Tensor) -> tuple[Self, float]:
        objective = self.objective
        recorded, change = self.recorded.advance(x)
        new = type(self)(objective, recorded.theta, recorded)
        mixed, own = objective.grams(self.theta, x), objective.grams(x)
        of_users, of_items = ((first + first.T + second).double() for first, second in zip(mixed, own, strict=True))
        risen = float((of_users * self.grams[1].double()).sum() + (new.grams[0].double() * of_items).sum())
        change += 0.5 * self._unobserved * risen
        new._value = self.value + change
        return new, change

    def blocks(self, rows: Tensor) -> Tensor:
        """Positive definite, though c − w₀ may be negative: a pair gives up no more than the sum over all has of it."""
        objective, out = self.objective, self.recorded.blocks(rows)
        held = objective.ridge[rows] > 0
        for side, gram in zip((rows < objective.users, rows >= objective.users), reversed(self.grams), strict=True):
            out[side & held] += self._unobserved * gram
        return out

    def factors(self, of_users: Int64, of_items: Int64) -> Tensor:
        """Of curved interactions."""
        return self.recorded.factors(of_users, of_items)

    def cross(self, x: Tensor, of_users: bool) -> Tensor:
        border = self.objective.users
        users, items = self.theta[:border], self.theta[border:]
        mine, others = (users, items) if of_users else (items, users)
        mixed = mine.T @ x
        return self.recorded.cross(x, of_users).addmm_(others, mixed + mixed.T, alpha=self._unobserved)

    @cached_property
    def axes(self) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        of_users, of_items = (torch.linalg.eigh(self._unobserved * gram.double()) for gram in self.grams)
        users, items = (
            (values.clamp(min=0).to(self.theta), vectors.to(self.theta)) for values, vectors in (of_items, of_users)
        )
        return users, items

    @property
    def _unobserved(self) -> float:
        return self.objective.weighting.unobserved


def _bearers(table: Interactions, rows: Int64) -> Bool:
    """Which of interactions [M], ascending, are the first retained ones of their pairs."""
    alive = np.flatnonzero(table.alive[rows])
    user, item = table.user[rows[alive]], table.item[rows[alive]]
    first = np.ones(len(alive), dtype=bool)
    first[1:] = (user[1:] != user[:-1]) | (item[1:] != item[:-1])
    bearing = np.zeros(len(rows), dtype=bool)
    bearing[alive[first]] = True
    return bearing
