"""The dual problem of the loss of preferences, on top of that of the scores: terms t = C·s of positives and negatives.

    Σ_t α_t t = Σ_z (Cᵀα)_z s_z,    so σ(α) of the terms is that of Cᵀα over the interactions

Axes: as in `ifru.proof.duality`; T terms, which take the place of its N outside of `pairs`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ifru.interactions import Interactions
from ifru.objective.losses import Loss, loss_of
from ifru.proof.bilinear import BilinearDuality
from ifru.proof.duality import InteractionsAlone, Scores, Spectrum
from ifru.proof.eigenvalue import Enough
from ifru.proof.operator import Operator
from ifru.proof.propagated import PropagatedDuality
from ifru.proof.retained import Retained
from ifru.proof.sums import EPS, Sum


@dataclass(frozen=True)
class Terms(Retained):
    """The terms, each in the place of its negative, with label 1. liked, drawn [T]: where its two interactions stand
    among all retained ones, whose fingerprint is `pairs`. Degrees are of all retained interactions."""

    liked: Tensor
    drawn: Tensor
    pairs: str

    @staticmethod
    def among(interactions: Interactions, pairs: Retained, loss: Loss) -> Terms:
        """pairs: all retained interactions."""
        alive, origin = interactions.alive, interactions.origin
        place = torch.from_numpy(np.cumsum(alive) - 1)
        rows = np.flatnonzero(alive & alive[origin] & ~interactions.recorded)
        liked, drawn = place[torch.from_numpy(origin[rows])], place[torch.from_numpy(rows)]
        weight, one, far = pairs.weight[drawn], torch.ones(len(rows), dtype=torch.float64), torch.inf
        return Terms(
            user=pairs.user[drawn],
            item=pairs.item[drawn],
            label=one,
            weight=weight,
            by_item=torch.argsort(pairs.item[drawn], stable=True),
            user_degree=pairs.user_degree,
            item_degree=pairs.item_degree,
            lowest=weight * loss.slope(-far * one, one),
            highest=weight * loss.slope(far * one, one),
            additions=int(torch.bincount(liked).max()) if len(liked) else 0,
            liked=liked,
            drawn=drawn,
            pairs=pairs.fingerprint(),
        )

    def fingerprint(self) -> str:
        """SHA-256 of the retained rows and of which of them are compared."""
        digest = hashlib.sha256(bytes.fromhex(self.pairs))
        for column in (self.liked, self.drawn):
            digest.update(column.numpy().astype("<i8").tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class BPRDuality(InteractionsAlone):
    """See `Duality`. of_scores: that of the scores, whatever the loss.

    alone [M]: where pairs that are no terms stand among the interactions; their numbers follow those of the terms.
    """

    retained: Terms
    loss: Loss
    of_scores: BilinearDuality | PropagatedDuality
    alone: Tensor

    @staticmethod
    def of(interactions: Interactions, of_scores: BilinearDuality | PropagatedDuality) -> BPRDuality:
        """of_scores: on the same interactions."""
        loss, pairs = loss_of("bpr"), of_scores.retained
        terms = Terms.among(interactions, pairs, loss)
        # What negatives add up to at their positive is rounded before it enters a matrix.
        of_scores = replace(of_scores, retained=replace(pairs, additions=terms.additions))
        return BPRDuality(terms, loss, of_scores, torch.empty(0, dtype=torch.int64))

    @property
    def l2(self) -> float:
        return self.of_scores.l2

    @property
    def rank(self) -> int:
        return self.of_scores.rank

    @property
    def width(self) -> int:
        return self.of_scores.width

    @property
    def subspace_rows(self) -> int:
        return self.of_scores.subspace_rows

    def scores(self, theta: Tensor) -> Scores:
        """t [T]."""
        scores = self.of_scores.scores(theta)
        t, terms = self._differences(scores.value), self.retained
        error = scores.error[terms.liked] + scores.error[terms.drawn]
        return Scores(t, torch.cat([error, scores.error[self.alone]]) + EPS * t.abs())

    def along(self, columns: Tensor) -> Tensor:
        return self._differences(self.of_scores.along(columns))

    def bias_value(self, alpha: Tensor) -> Sum:
        return self.of_scores.bias_value(self._at_interactions(alpha))

    def joined(self, user: Tensor, item: Tensor) -> tuple[BPRDuality, Tensor]:
        of_scores, place = self.of_scores.joined(user, item)
        terms, known = self.retained, place[: len(self.of_scores.retained)]
        nothing = terms.label.new_zeros(len(user))
        items = torch.cat([terms.item, item])
        retained = replace(
            terms,
            user=torch.cat([terms.user, user]),
            item=items,
            by_item=torch.argsort(items, stable=True),
            liked=known[terms.liked],
            drawn=known[terms.drawn],
            label=torch.cat([terms.label, nothing]),
            weight=torch.cat([terms.weight, nothing]),
            lowest=torch.cat([terms.lowest, nothing]),
            highest=torch.cat([terms.highest, nothing]),
        )
        everything = torch.arange(len(retained))
        return replace(self, retained=retained, of_scores=of_scores, alone=place[len(known) :]), everything

    def start(self, theta: Tensor) -> Tensor:
        return self.of_scores.start(theta)

    def leading(self, alpha: Tensor, count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        return self.of_scores.leading(self._at_interactions(alpha), count, random)

    def spectrum(
        self,
        alpha: Tensor,
        start: Tensor,
        random: torch.Generator,
        enough: Enough,
        check: Callable[[], None],
        rows: Tensor | None = None,
    ) -> Spectrum:
        return self.of_scores.spectrum(self._at_interactions(alpha), start, random, enough, check)

    @property
    def squared(self) -> bool:
        return self.of_scores.squared

    def operator(self, alpha: Tensor, rows: Tensor | None = None) -> Operator:
        return self.of_scores.operator(self._at_interactions(alpha))

    def _differences(self, of_interactions: Tensor) -> Tensor:
        """C·s [T] of s [N], and the s of pairs alone."""
        difference = of_interactions[self.retained.liked] - of_interactions[self.retained.drawn]
        return torch.cat([difference, of_interactions[self.alone]])

    def _at_interactions(self, alpha: Tensor) -> Tensor:
        """Cᵀα [N]: no α of a term is positive, so that what adds up at a positive does not cancel."""
        out, terms = alpha.new_zeros(len(self.of_scores.retained)), self.retained
        of_terms = alpha[: len(terms.liked)]
        out.index_add_(0, terms.liked, of_terms).index_add_(0, terms.drawn, -of_terms)
        return out.index_add_(0, self.alone, alpha[len(terms.liked) :])
