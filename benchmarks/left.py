"""How much of what exact retraining changes a model has left undone, and how well it ranks.

    left = ‖scores − retrained scores‖ / ‖original scores − retrained scores‖        over a set of pairs

0 is the retrained model, 1 is nothing forgotten. Axes: n pairs, R rows, K columns of a row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmarks.cases import Case
from ifru.interactions import Interactions
from ifru.interactions.table import Int64
from ifru.models.quality import auc


@dataclass(frozen=True)
class Left:
    """forgotten: on the deleted training pairs. holdout: on the held-out pairs that are measured on and remain.

    None where retraining changes no score. auc: on the same held-out pairs; None where all labels are the same.
    """

    forgotten: float | None
    holdout: float | None
    auc: float | None

    @property
    def mean(self) -> float:
        """The geometric mean of both figures, of those that are not zero; 0 where there is none."""
        shares = [share for share in (self.forgotten, self.holdout) if share is not None and share > 0]
        return math.exp(sum(map(math.log, shares)) / len(shares)) if shares else 0.0

    def reaches(self, forgotten: float, holdout: float) -> bool:
        """Whether neither figure exceeds its goal."""
        pairs = (self.forgotten, forgotten), (self.holdout, holdout)
        return all(share is None or share <= goal for share, goal in pairs)


def left(case: Case, theta: Tensor) -> Left:
    """What θ [R, K] has left of a case. Rows that nothing is left of count as zero, whatever a method did with them."""
    base = case.base
    train, holdout, rows = base.train, base.dataset.holdout, case.held_out(base.test)
    models = base.served(base.theta, train), served(case, theta), served(case, case.exact)
    return Left(
        share([scores(model, train, case.deletion.train) for model in models]),
        share([scores(model, holdout, rows) for model in models]),
        auc(scores(models[1], holdout, rows).numpy(), holdout.label[rows]),
    )


def served(case: Case, theta: Tensor) -> Tensor:
    """The rows [R, K] that score pairs by their dot products, where θ [R, K] is a model of what a case retains."""
    known = theta.clone()
    known[case.emptied] = 0
    return case.base.served(known, case.retained)


def validation_auc(case: Case, theta: Tensor) -> float:
    """AUC on the held-out pairs that methods may stop by; one half where all labels are the same."""
    return auc_of(served(case, theta), case.base.dataset.holdout, case.held_out(case.base.validation))


def auc_of(served: Tensor, table: Interactions, rows: Int64) -> float:
    """AUC of rows [R, K] that score pairs, on those of a table; one half where all labels are the same."""
    found = auc(scores(served, table, rows).numpy(), table.label[rows])
    return 0.5 if found is None else found


def scores(served: Tensor, table: Interactions, rows: Int64) -> Tensor:
    """s [n] of a table's pairs at some positions, in float64: dot products of rows [R, K]."""
    user, item = (torch.from_numpy(side[rows].astype(np.int64)) for side in (table.user, table.item))
    return (served[user].double() * served[item + table.users].double()).sum(1)


def share(scored: Sequence[Tensor]) -> float | None:
    """What is left, from the scores [n] before, now, and exactly retrained; None where these are the first."""
    before, now, exact = scored
    whole = float((before - exact).norm())
    return float((now - exact).norm()) / whole if whole > 0 else None
