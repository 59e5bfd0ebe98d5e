"""Who is asked about, and what shadow models may be trained on.

Axes: T targets, R rows, K columns of a row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.base import Base
from benchmarks.cases import drawn, recorded
from benchmarks.left import scores
from ifru.interactions import Columns, Interactions
from ifru.interactions.table import Bool, Int64


@dataclass(frozen=True, eq=False)
class Pool:
    """Training rows and non-members in one table, and the targets [T] in it.

    table: negatives that were drawn for a row come and go with it. targets: positions. member [T]: which of them
    the model was trained on, and will be asked to forget; the others are held-out rows of the same distribution.
    deleted: positions of the members in the training data.
    """

    table: Interactions
    targets: Int64
    member: Bool
    deleted: Int64

    def confidence(self, theta: Tensor) -> NDArray[np.float64]:
        """φ [T] = log p/(1 − p) of the probability that θ [R, K] gives to each target's label, which is 0 or 1."""
        found = scores(theta, self.table, self.targets)
        return (found * torch.from_numpy(2.0 * self.table.label[self.targets] - 1)).numpy()

    def without(self, rows: Int64) -> Interactions:
        """The table without some rows, and without the negatives that were drawn for them."""
        left = self.table.copy()
        left.delete(left.with_companions(rows))
        return left


def pooled(base: Base, number: int, random: np.random.Generator) -> Pool:
    """A pool with so many random members, and as many non-members. Raises IfruError where there are too few rows."""
    train, holdout = base.train, base.dataset.holdout
    members, others = (np.sort(drawn(recorded(table), number, random)) for table in (train, holdout))
    rows = holdout.with_companions(others)
    first, second = train.columns(), _columns(holdout, rows)
    columns = Columns(
        user=np.concatenate([first.user, second.user]),
        item=np.concatenate([first.item, second.item]),
        label=np.concatenate([first.label, second.label]),
        weight=np.concatenate([first.weight, second.weight]),
        time=None,
        origin=np.concatenate([first.origin, second.origin + len(first)]),
    )
    place = np.empty(len(columns), dtype=np.int64)
    place[np.lexsort((columns.item, columns.user))] = np.arange(len(columns))
    return Pool(
        table=Interactions(columns, train.users, train.items),
        targets=place[np.concatenate([members, len(first) + np.searchsorted(rows, others)])],
        member=np.repeat([True, False], number),
        deleted=members,
    )


def _columns(table: Interactions, rows: Int64) -> Columns:
    """Some rows [n], ascending, each with the row that it was drawn for."""
    return Columns(
        user=table.user[rows],
        item=table.item[rows],
        label=table.label[rows],
        weight=table.weight[rows],
        time=None,
        origin=np.searchsorted(rows, table.origin[rows]),
    )
