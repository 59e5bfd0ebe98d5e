"""Which requests are still to be proven one by one, and the receipts that say what was proven of them."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime

import numpy as np
import torch
from torch import Tensor

from ifru.errors import IfruError
from ifru.evaluation.chosen_pairs import pair_scores
from ifru.interactions import Deletion
from ifru.interactions.table import Int64
from ifru.objective.tilted import ChosenPairs
from ifru.requests import Identity
from ifru.snapshots import Reader
from ifrud.model import Model
from ifrud.observe.metrics import Metrics
from ifrud.requests.answers import Answers
from ifrud.requests.earlier import earlier
from ifrud.requests.receipts import Receipt
from ifrud.requests.unproven import RequestProven, Unproven

MOST = 1000
"""Requests that wait for their proof, and the newest ones that a share is told of."""

NO_ROWS = np.empty(0, dtype=np.int64)


class RequestProofs:
    """Requests of the newest versions, and what is proven of each. now: seconds, never going back. utc: the time of
    day. after: so long receipts wait for a version that comes anyway. receipts: those that wait for the next one.

    reader: of the versions, used on the prover's thread. wanted: whether requests are proven at all.
    """

    def __init__(
        self,
        model: Model,
        reader: Reader,
        metrics: Metrics,
        now: Callable[[], float],
        utc: Callable[[], datetime],
        after: float,
        wanted: bool,
    ) -> None:
        self._model, self._metrics, self._now, self._utc = model, metrics, now, utc
        self._after, self.wanted = after, wanted
        self._reader, self._newest = reader, model.manifest
        self._engine = model.engine
        self._since = now()
        self._waiting: OrderedDict[Identity, Unproven] = OrderedDict()
        self._left: OrderedDict[Identity, float] = OrderedDict()
        self.receipts: Sequence[Receipt] = ()

    @property
    def waiting(self) -> tuple[Unproven, ...]:
        """Requests that no proof was tried of, the newest first."""
        self._forget_others()
        return tuple(reversed(self._waiting.values()))

    def erased(self, answers: Answers) -> list[Unproven]:
        """What the requests of a batch erase, before it is erased: of the last ones, as far as they may wait."""
        states = answers.remembered if self.wanted else {}
        published = [identity for identity, state in states.items() if state == "published"][-MOST:]
        engine, (of, user, item) = self._model.engine, self._pairs([answers.parts[each] for each in published])
        if len(user) == 0:
            return []
        every = ChosenPairs(user, item, torch.ones(len(user), dtype=torch.float64))
        scores = pair_scores(engine.config, engine.serving or engine.parameters, every)
        sizes = np.bincount(of, minlength=len(published)).tolist()
        parts = zip(*(torch.split(each, sizes) for each in (user, item, scores)), strict=True)
        return [Unproven(each, *part) for each, part in zip(published, parts, strict=True) if len(part[0])]

    def add(self, erased: Sequence[Unproven]) -> None:
        """A version has erased them."""
        self._forget_others()
        for each in erased:
            self._waiting[each.request] = each
            self._left[each.request] = math.nan
        for known in (self._waiting, self._left):
            while len(known) > MOST:
                known.popitem(last=False)
        self._show()

    def earlier(self) -> Sequence[Unproven]:
        """Requests of processes before this one, the oldest first; none where the store does not say."""
        try:
            return earlier(self._reader, self._newest) if self.wanted else ()
        except IfruError:
            return ()

    def found_earlier(self, request: Unproven) -> None:
        """A request of a process before this one is to be proven."""
        if request.request not in self._left:
            self.add([request])
            self._waiting.move_to_end(request.request, last=False)

    def found(self, proven: RequestProven) -> None:
        """A proof has ended."""
        if self._waiting.pop(proven.request, None) is None or proven.bound is None:
            return
        if not self.receipts:
            self._since = self._now()
        left = proven.bound / proven.change
        receipt = Receipt.proven(proven.request, proven.version, self._utc(), proven.bound, left)
        self.receipts = (*self.receipts, receipt)
        self._left[proven.request] = left
        self._show()

    def overdue(self) -> bool:
        """Whether a version has to be written for receipts alone."""
        return bool(self.receipts) and self._now() - self._since >= self._after

    def sent(self) -> None:
        """A version has taken the receipts along."""
        self._metrics.requests.labels("proven").inc(len(self.receipts))
        self.receipts = ()

    def _pairs(self, parts: Sequence[Deletion]) -> tuple[Int64, Tensor, Tensor]:
        """Recorded pairs that were trained on, each once in a part: the part, ascending, the user and the item."""
        table = self._model.dataset.train
        rows = np.concatenate([NO_ROWS, *(part.train for part in parts)])
        sizes = np.array([len(part.train) for part in parts], dtype=np.int64)
        of = np.repeat(np.arange(len(parts)), sizes)
        recorded = table.origin[rows] == rows
        rows, of = rows[recorded], of[recorded]
        pairs = (of * table.users + table.user[rows]) * table.items + table.item[rows]
        found, item = np.divmod(np.unique(pairs), table.items)
        part, user = np.divmod(found, table.users)
        return part, torch.from_numpy(user), torch.from_numpy(item)

    def _forget_others(self) -> None:
        """Numbers and scores are those of one engine."""
        if self._engine is not self._model.engine:
            self._engine = self._model.engine
            self._waiting.clear()

    def _show(self) -> None:
        proven = [left for left in self._left.values() if not math.isnan(left)]
        self._metrics.proven_share.set(len(proven) / len(self._left) if self._left else math.nan)
        self._metrics.worst_left.set(max(proven, default=math.nan))
