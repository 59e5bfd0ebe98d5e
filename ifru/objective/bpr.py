"""The loss of preferences (BPR, Rendle et al. 2009): terms t = s_ui − s_uj of a user's positive i and negative j.

    L(θ) = Σ_t w_t·softplus(−t) + (λ/2)(‖p_u‖² + ‖q_i‖²) of each retained interaction, positives and negatives

Every sampled negative makes one term with the positive that it was drawn for (`Interactions.origin`), weighted by the
negative's row. Where either of the two is deleted there is no term; the penalty of the one that stays, stays. A row
that is neither drawn nor drawn for has its penalty alone, and labels do not matter.

Terms are a sparse combination t = C·s of the interactions' scores. So derivatives are those of a pairwise objective
with ∂L/∂s = Cᵀℓ'(t) in place of ℓ'(s), and with Cᵀℓ''(t)C in place of the diagonal ℓ''(s).

This is the objective by torch operators, on any device: what compiled loops are held against.

Axes as in `ifru.objective.protocol`. A term stands at the position of its negative; arrays [N] of terms are zero
elsewhere. F interactions of whole families, ascending: a positive and its negatives.
"""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
from torch import Tensor

from ifru.errors import DataError
from ifru.interactions import Interactions
from ifru.interactions.table import Int64
from ifru.objective.losses import loss_of
from ifru.objective.pairwise import PairwiseObjective, PairwisePoint
from ifru.objective.penalty import penalty, penalty_change
from ifru.objective.protocol import GradientChange, Linearised


class BPRObjective:
    """`Objective` of differences of a pairwise score. weight [N]: of the terms."""

    def __init__(self, pairs: PairwiseObjective) -> None:
        """pairs: the objective of the same score and interactions, taken over: its weights only tell who is retained.

        Raises DataError for a negative that was not drawn for a recorded interaction of its own user.
        """
        table = pairs.interactions
        check_origins(table)
        self.pairs, self.interactions, self.layout = pairs, table, pairs.layout
        self.capabilities, self.l2 = pairs.capabilities, pairs.l2
        self.device, self.dtype, self.ridge = pairs.device, pairs.dtype, pairs.ridge
        self.loss = loss_of("bpr")
        self.origin = torch.from_numpy(table.origin).to(self.device)
        self.is_drawn = torch.from_numpy(~table.recorded).to(self.device)
        term = torch.from_numpy(~table.recorded & table.alive[table.origin]).to(self.device)
        self.weight = torch.where(term, pairs.weight, 0)
        pairs.weight.copy_(torch.from_numpy(table.alive))

    def at(self, theta: Tensor) -> BPRPoint:
        return BPRPoint(self, self.pairs.point(theta, *self.derivatives(self.pairs.scores(theta), None)))

    def serving(self, theta: Tensor) -> Tensor:
        return theta

    def relabel(self, interactions: Int64) -> bool:
        raise ValueError("labels say nothing to the loss bpr")

    def remove(self, point: Linearised, interactions: Int64) -> GradientChange:
        if not isinstance(point, BPRPoint):
            raise TypeError(f"a point of {type(self).__name__} is needed, not {type(point).__name__}")
        table, first, second = self.interactions, point.first, point.second
        ended = self._terms(table.with_companions(interactions))
        positives = np.unique(table.origin[ended])
        lost = torch.from_numpy(np.concatenate([ended, positives])).to(self.device)
        before = first[lost]
        self.weight[lost[: len(ended)]] = 0
        first[lost] = second[lost] = 0
        left = self._terms(table.with_companions(positives))
        listed, heads = (torch.from_numpy(each).to(self.device) for each in (left, table.origin[left]))
        first.index_add_(0, heads, -first[listed])
        second.index_add_(0, heads, second[listed])
        rows, contribution = self._contribution(point.theta, lost, before - first[lost], interactions)
        gradient, emptied = point.gradient, self.pairs.delete(interactions)
        gradient[rows] -= contribution
        gradient[emptied] = 0
        return GradientChange(rows, -contribution, None, point, stale=self._stale(ended, positives, interactions))

    def value(self, theta: Tensor) -> float:
        """L, summed in float64."""
        loss = self.loss.value(self.differences(self.exact_scores(theta)), self._one(torch.float64))
        return float((self.weight.double() * loss).sum()) + penalty(self.ridge, theta)

    def differences(self, scores: Tensor) -> Tensor:
        """t [N] of scores [N]; zero where there is none."""
        return scores[self.origin] - scores

    def exact_scores(self, theta: Tensor) -> Tensor:
        """s [N] in float64."""
        pairs = self.pairs
        parts = [pairs.score.scores(*(end.double() for end in pairs.ends(theta, part))) for part in pairs.chunks()]
        return torch.cat(parts or [theta.new_empty(0, dtype=torch.float64)])

    def derivatives(self, scores: Tensor, families: Tensor | None) -> tuple[Tensor, Tensor]:
        """∂L/∂s [N], and what terms give to its own derivative, of scores [N]; of families [F], of their scores [F]."""
        origin, weight = self.origin, self.weight
        if families is not None:
            origin, weight = torch.searchsorted(families, origin[families]), weight[families]
        t, one = scores[origin] - scores, self._one(scores.dtype)
        slope, curvature = weight * self.loss.slope(t, one), weight * self.loss.curvature(t, one)
        return (-slope).index_add_(0, origin, slope), curvature.index_add(0, origin, curvature)

    def families(self, interactions: Tensor) -> Tensor:
        """All [F] of the families that interactions belong to, deleted negatives left out."""
        table = self.interactions
        found = table.with_companions(np.unique(table.origin[interactions.cpu().numpy()]))
        return torch.from_numpy(found).to(self.device)

    def _one(self, dtype: torch.dtype) -> Tensor:
        """The label of every term."""
        return torch.ones((), dtype=dtype, device=self.device)

    def _terms(self, interactions: Int64) -> Int64:
        """Those of some interactions that stand for a term."""
        there = self.weight[torch.from_numpy(interactions).to(self.device)] != 0
        terms: Int64 = interactions[there.cpu().numpy()]
        return terms

    def _contribution(self, theta: Tensor, listed: Tensor, first: Tensor, deleted: Int64) -> tuple[Tensor, Tensor]:
        """Rows [T], ascending, and the part [T, K] of ∇L of derivatives first in the scores of listed interactions,
        and of the penalty of the deleted ones."""
        pairs, gone = self.pairs, torch.from_numpy(deleted).to(self.device)
        of_user, of_item = pairs.score.jacobians(*pairs.ends(theta, listed))
        penalised = torch.cat([pairs.user[gone], pairs.item[gone]])
        ends = torch.cat([pairs.user[listed], pairs.item[listed], penalised])
        parts = torch.cat([first[:, None] * of_user, first[:, None] * of_item, self.l2 * theta[penalised]])
        rows, place = torch.unique(ends, return_inverse=True)
        return rows.long(), theta.new_zeros(len(rows), theta.shape[1]).index_add_(0, place, parts)

    def _stale(self, ended: Int64, positives: Int64, deleted: Int64) -> Tensor:
        """Rows that see the end of a term at an interaction which stays."""
        table = self.interactions
        drawn, liked = np.setdiff1d(ended, deleted), np.setdiff1d(positives, deleted)
        rows = np.concatenate([table.user[drawn], table.incidence.far[drawn], table.incidence.far[liked]])
        return torch.from_numpy(np.unique(rows).astype(np.int64)).to(self.device)


class BPRPoint:
    """`Linearised` at θ. pairs: the pairwise point whose derivatives `first` and `second` are those of
    `BPRObjective.derivatives`."""

    def __init__(self, objective: BPRObjective, pairs: PairwisePoint, value: float | None = None) -> None:
        self.objective, self.pairs = objective, pairs
        self._value = value

    @property
    def theta(self) -> Tensor:
        return self.pairs.theta

    @property
    def first(self) -> Tensor:
        """[N]."""
        return self.pairs.first

    @property
    def second(self) -> Tensor:
        """[N]: ℓ''(t) at a negative, their sum at its positive."""
        return self.pairs.second

    @property
    def gradient(self) -> Tensor:
        return self.pairs.gradient

    @property
    def value(self) -> float:
        if self._value is None:
            self._value = self.objective.value(self.theta)
        return self._value

    def linear(self) -> Self:
        return type(self)(self.objective, self.pairs.linear())

    def product(self, x: Tensor) -> Tensor:
        objective, pairs, theta, score = self.objective, self.objective.pairs, self.theta, self.objective.pairs.score
        out, along = self.objective.ridge[:, None] * x, torch.empty_like(self.first)
        for part in pairs.chunks():
            of_user, of_item = score.jacobians(*pairs.ends(theta, part))
            along[part] = (of_user * x[pairs.user[part]]).sum(1) + (of_item * x[pairs.item[part]]).sum(1)
        bend = torch.where(objective.is_drawn, self.second, 0) * objective.differences(along)
        curved = (-bend).index_add_(0, objective.origin, bend)
        for part in pairs.chunks():
            user, item, ends, first = pairs.user[part], pairs.item[part], pairs.ends(theta, part), self.first[part]
            of_user, of_item = score.jacobians(*ends)
            bent_user, bent_item = score.curvature(*ends, x[user], x[item])
            out.index_add_(0, user, curved[part, None] * of_user + first[:, None] * bent_user)
            out.index_add_(0, item, curved[part, None] * of_item + first[:, None] * bent_item)
        return out

    def advance(self, x: Tensor) -> tuple[Self, float]:
        objective, new = self.objective, self.theta + x
        one = torch.ones((), dtype=torch.float64, device=x.device)
        before, after = (objective.differences(objective.exact_scores(at)) for at in (self.theta, new))
        rise = objective.loss.value(after, one) - objective.loss.value(before, one)
        change = float((objective.weight * rise).sum()) + penalty_change(objective.ridge, x, self.theta, new)
        pairs = objective.at(new).pairs
        return type(self)(objective, pairs, self.value + change), change

    def blocks(self, rows: Tensor) -> Tensor:
        objective, pairs = self.objective, self.objective.pairs
        mine = rows < pairs.users
        users, place = rows[mine], pairs.places(rows[mine])
        blocks = torch.diag_embed(objective.ridge[users, None].expand(-1, self.theta.shape[1])).contiguous()
        for part in pairs.chunks(pairs.incident(users)):
            factors = self.of_users(part)
            blocks.index_add_(0, place[pairs.user[part]], factors[:, :, None] * factors[:, None, :])
        out = self.theta.new_empty(len(rows), *blocks.shape[1:])
        out[mine], out[~mine] = blocks, self.pairs.blocks(rows[~mine])
        return out

    def factors(self, of_users: Int64, of_items: Int64) -> Tensor:
        """√(w·ℓ'')·(∂s_ui − ∂s_uj)/∂p_u at a negative and zero at its positive; √second·∂s/∂q at both [M, K].

        So a term is in its user's block once, and in the blocks of both of its items.
        """
        of_user = self.of_users(torch.from_numpy(of_users).to(self.objective.device))
        return torch.cat([of_user, self.pairs.factors(of_users[:0], of_items)])

    def neighbours(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Rows [V], ascending, of the families of rows [S], and those rows themselves; see `RowLocal`."""
        pairs = self.objective.pairs
        families = self.objective.families(pairs.incident(rows, deleted=True))
        met = torch.zeros(pairs.rows, dtype=torch.int64, device=rows.device)
        ends = torch.cat([pairs.user[families], pairs.item[families]]).long()
        met.index_add_(0, ends, torch.ones_like(ends))
        near = met > 0
        near[rows] = True
        found = near.nonzero()[:, 0]
        return found, met[found]

    def update(self, rows: Tensor, before: Tensor) -> int:
        """As in `RowLocal`."""
        objective, pairs, gradient = self.objective, self.objective.pairs, self.gradient
        families = objective.families(pairs.incident(rows, deleted=True))
        old = self.theta.clone()
        old[rows] = before
        for part in pairs.chunks(families):
            self.pairs.add_data(gradient, old, -self.first[part], part)
        self.first[families], self.second[families] = objective.derivatives(
            pairs.scores(self.theta, families), families
        )
        for part in pairs.chunks(families):
            self.pairs.add_data(gradient, self.theta, self.first[part], part)
        # A moved row is summed anew: differences of its own large terms would lose digits.
        gradient[rows] = self.pairs.gradient_of(rows)
        return len(families)

    def of_users(self, interactions: Tensor) -> Tensor:
        """Factors [M, K] of interactions in their users' blocks."""
        objective, pairs = self.objective, self.objective.pairs
        liked, drawn = (
            pairs.score.jacobians(*pairs.ends(self.theta, each))[0]
            for each in (objective.origin[interactions], interactions)
        )
        curvature = torch.where(objective.is_drawn[interactions], self.second[interactions], 0)
        return curvature.sqrt()[:, None] * (liked - drawn)


def check_origins(table: Interactions) -> None:
    """Raises DataError for a negative that was not drawn for a recorded interaction of its own user."""
    recorded = table.recorded
    wrong = np.flatnonzero(table.alive & ((table.user[table.origin] != table.user) | ~recorded[table.origin]))
    if len(wrong) > 0:
        row = int(wrong[0])
        raise DataError(
            f"{len(wrong):,} sampled negatives were drawn for no recorded interaction of their own user, the first of "
            f"them user row {int(table.user[row])}, item row {int(table.item[row])}; the loss bpr compares a user's "
            "negatives with the same user's positives: let each negative's origin be one"
        )
