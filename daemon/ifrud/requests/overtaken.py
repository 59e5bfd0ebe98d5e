"""What held requests name and others have erased: the store does not keep it for them any longer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ifru.interactions import Dataset, Deletion
from ifru.requests import EraseBefore, EraseInteractions, EraseItem, EraseUser, Identity, Request, resolve


@dataclass(frozen=True)
class Overtaken:
    """emptied: held requests that mean no rows any more. shortened: those that name fewer pairs now.

    left_out: requests for the pairs that these do not name any more.
    """

    emptied: Sequence[Identity] = ()
    shortened: Mapping[Identity, Request] = field(default_factory=dict)
    left_out: Sequence[Request] = ()

    @staticmethod
    def of(
        held: Mapping[Identity, Request], new: Mapping[Identity, Request], deletion: Deletion, dataset: Dataset
    ) -> Overtaken:
        """By a deletion, whose rows the data set still has. The receipt `purged` of who erased them says that nothing
        stored holds them, and what held requests ask for is stored.

        new: those that are held from now on; they name nothing from the beginning that was erased before.
        """
        if not new and (not held or len(deletion) == 0):
            return Overtaken()
        touched = _Touched(deletion, dataset)
        emptied = []
        shortened: dict[Identity, Request] = {}
        left_out: list[Request] = []
        for identity, request in {**held, **new}.items():
            if not isinstance(request, EraseInteractions):
                if identity in held and touched.empties(request):
                    emptied.append(identity)
                continue
            gone = set(touched.pairs(request, erased_before=identity in new))
            left = [pair for pair in request.interactions if pair not in gone]
            if not left:
                emptied.append(identity)
            elif gone:
                shortened[identity] = request.model_copy(update={"interactions": left})
                left_out.append(request.model_copy(update={"interactions": sorted(gone)}))
        return Overtaken(emptied, shortened, left_out)


class _Touched:
    """What a deletion leaves of requests. Only those that name somebody who loses rows are looked at closely."""

    def __init__(self, deletion: Deletion, dataset: Dataset) -> None:
        self._deletion, self._dataset = deletion, dataset
        train, holdout = dataset.train, dataset.holdout
        users = np.union1d(train.user[deletion.train], holdout.user[deletion.holdout])
        items = np.union1d(train.item[deletion.train], holdout.item[deletion.holdout])
        self._users = {dataset.users.name(row) for row in users.tolist()}
        self._items = {dataset.items.name(row) for row in items.tolist()}

    def empties(self, request: Request) -> bool:
        """Whether it takes all rows that a request means, and there are some."""
        match request:
            case EraseUser() | EraseBefore():
                named = request.subject in self._users
            case EraseItem():
                named = request.subject in self._items
            case _:
                named = False
        part = resolve(request, self._dataset) if named else Deletion.nothing()
        return len(part) > 0 and self._takes(part)

    def pairs(self, request: EraseInteractions, erased_before: bool) -> Iterator[tuple[str, str]]:
        """The pairs of a request that it takes. erased_before: those as well that have no rows."""
        for pair in request.interactions:
            if erased_before or (pair[0] in self._users and pair[1] in self._items):
                part = resolve(request.model_copy(update={"interactions": [pair]}), self._dataset)
                if (erased_before or len(part) > 0) and self._takes(part):
                    yield pair

    def _takes(self, part: Deletion) -> bool:
        return bool(
            np.isin(part.train, self._deletion.train).all() and np.isin(part.holdout, self._deletion.holdout).all()
        )
