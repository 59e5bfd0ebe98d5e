"""How well a model ranks all items for every user, those aside that it was trained on.

Axes: U users, I items, n users of a batch, P pairs of a user and an item, k places, E entries of a batch's rankings.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ifru.interactions import Interactions
from ifru.interactions.table import Bool, Int64, ranges
from ifru.models import ModelConfig
from ifru.models.quality import scorer
from ifru.objective.parameters import Parameters

Scores = Callable[[Tensor], Tensor]
"""Users [n] -> their scores with all items [n, I], in a tensor of its own."""

_POSITIVE = 0.5
"""A label above this one is a positive."""

_CELLS = 1 << 22
"""Scores that are computed at a time."""


def all_items(config: ModelConfig, serving: Parameters) -> Scores:
    """Scores with all items, from the tables that score pairs."""
    model = scorer(config, serving)
    return lambda users: model.all_scores(serving.user[users], serving.item)


def ndcg(scores: Scores, train: Interactions, holdout: Interactions, k: int = 10) -> float | None:
    """NDCG@k: Σ 1/log2(1 + place) over a user's held-out positives, as a share of the most possible; the mean of users.

    Every user ranks the items that no retained training row was recorded for, so that a deleted pair is ranked again
    (and sampled negatives always are). Users without a retained held-out positive among these do not count; None where
    no user does. Of equal scores, the lower item number comes first.
    """
    known = _pairs(train, train.recorded)
    positive = np.setdiff1d(_pairs(holdout, holdout.label > _POSITIVE), known, assume_unique=True)
    if len(positive) == 0:
        return None
    users, wanted = np.unique(positive // train.items, return_counts=True)
    discount = 1 / np.log2(np.arange(2, k + 2))
    most = np.cumsum(discount)[np.minimum(wanted, k) - 1]
    reached = [
        np.bincount(row, discount[place] * _within(pair, positive), len(batch))
        for batch in np.array_split(users, -(-len(users) * train.items // _CELLS))
        for row, pair, place in [_ranked(scores, batch, known, train.items, k)]
    ]
    return float((np.concatenate(reached) / most).mean())


def unseen_auc(scores: Scores, train: Interactions, holdout: Interactions) -> float | None:
    """The probability that a held-out positive scores higher than an item that its user has no row with.

    Equal scores count half; None where there is no held-out positive. It is what takes the place of the AUC where all
    rows are positive.
    """
    known = np.union1d(_pairs(train, train.recorded), _pairs(holdout, holdout.recorded))
    positive = _pairs(holdout, holdout.label > _POSITIVE)
    if len(positive) == 0:
        return None
    won, users = 0.0, np.unique(positive // train.items)
    for batch in np.array_split(users, -(-len(users) * train.items // _CELLS)):
        found = scores(torch.from_numpy(batch)).cpu()
        wanted = positive[np.isin(positive // train.items, batch)]
        row, item = np.searchsorted(batch, wanted // train.items), wanted % train.items
        score = found[row, item]
        seen = _cells(known, batch, train.items)
        found[seen] = torch.inf
        ordered = found.sort(dim=1).values[row]
        below, up_to = (torch.searchsorted(ordered, score[:, None], right=right)[:, 0] for right in (False, True))
        unseen = torch.from_numpy(train.items - np.bincount(seen[0], minlength=len(batch)))[row].clamp(min=1)
        won += float(((below + up_to) / 2 / unseen).sum())
    return won / len(positive)


def _pairs(table: Interactions, some: Bool) -> Int64:
    """Those of some rows that are retained, as user·I + item, ascending and unique."""
    rows = table.alive & some
    pairs: Int64 = table.user[rows] * np.int64(table.items) + table.item[rows]
    return pairs[np.diff(pairs, prepend=-1) > 0]


def _within(pairs: Int64, known: Int64) -> Bool:
    """Which of pairs [E] are among others, which are ascending and at least one."""
    found: Bool = known[known.searchsorted(pairs).clip(max=len(known) - 1)] == pairs
    return found


def _cells(pairs: Int64, users: Int64, items: int) -> tuple[Int64, Int64]:
    """Those of pairs [P], ascending, that are of users [n], as rows and columns of a table [n, I]."""
    first, last = (np.searchsorted(pairs, (users + after) * items) for after in (0, 1))
    return np.repeat(np.arange(len(users)), last - first), pairs[ranges(first, last)] % items


def _ranked(scores: Scores, users: Int64, known: Int64, items: int, k: int) -> tuple[Int64, Int64, Int64]:
    """The first k items of users [n]: places in the batch, pairs and places in the ranking [E].

    known: pairs that are left out.
    """
    found = scores(torch.from_numpy(users)).cpu()
    found[_cells(known, users, items)] = -torch.inf
    lowest = found.topk(min(k, items)).values[:, -1:]
    row, item = np.nonzero((found >= lowest).numpy())
    order = np.lexsort((item, -found[row, item].numpy(), row))
    row, item = row[order], item[order]
    place = np.arange(len(row)) - np.searchsorted(row, row)
    shown = place < k
    return row[shown], users[row[shown]] * items + item[shown], place[shown]
