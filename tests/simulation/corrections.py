"""Labels that are corrected, in a world: which label each interaction has in the end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np

from ifru.interactions import Dataset, Interactions
from ifru.snapshots import Reader
from tests.daemon.world import Pair
from tests.simulation.held import answers, carried_out
from tests.simulation.requests import Sent


class World(Protocol):
    """labels: of the first version. candidates: how many there were, which bring labels of their own."""

    reader: Reader
    labels: Mapping[Pair, float]
    candidates: int

    @property
    def sent(self) -> Mapping[int, Sent]: ...


def labels(dataset: Dataset) -> dict[Pair, float]:
    """Of all that a data set retains."""
    return {pair: float(table.label[row]) for pair, table, row in _rows(dataset)}


def times(dataset: Dataset) -> dict[Pair, int]:
    """When all that a data set retains was recorded, in microseconds since 1970."""
    return {pair: int(table.time[row]) for pair, table, row in _rows(dataset) if table.time is not None}


def check_corrections(world: World) -> None:
    """Every interaction has a label that was asked for, and nobody else's label has changed."""
    answered = carried_out(answers(world.reader))
    asked: dict[Pair, set[float]] = defaultdict(set)
    for sent in world.sent.values():
        for pair, label in sent.corrects.items() if sent.identity in answered else ():
            asked[pair].add(label)
    surely = _surely([sent for sent in world.sent.values() if sent.identity in answered])
    for pair, label in labels(world.reader.load().dataset).items():
        before = set() if pair in surely and not world.candidates else {world.labels[pair]}
        assert label in asked[pair] | before, f"not the label that was asked for: {pair}"


def _surely(sent: Sequence[Sent]) -> set[Pair]:
    """Pairs of requests that were answered, whose ids no other request has."""
    contents = defaultdict(set)
    for each in sent:
        contents[each.identity].add(each.content)
    return {pair for each in sent if len(contents[each.identity]) == 1 for pair in each.corrects}


def _rows(dataset: Dataset) -> Iterator[tuple[Pair, Interactions, int]]:
    for table in (dataset.train, dataset.holdout):
        for row in np.flatnonzero(table.alive).tolist():
            user, item = dataset.users.name(int(table.user[row])), dataset.items.name(int(table.item[row]))
            assert user is not None
            assert item is not None
            yield (user, item), table, row
