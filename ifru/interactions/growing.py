"""Data to train on again: what a version retains, without gaps, and new interactions beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ifru.errors import DataError
from ifru.interactions.dataset import Dataset, Ids
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import Recorded
from ifru.interactions.negatives import draw_negatives
from ifru.interactions.table import Columns, Int32, Int64, Interactions


def compacted(dataset: Dataset) -> Dataset:
    """The same rows without those that were deleted, and without erased entities; numbered anew.

    Loss derivatives that rows were counted from are left behind: they belong to the parameters of before.
    """
    users, items = (_numbers(ids) for ids in (dataset.users, dataset.items))
    names = [[name for name in ids if name is not None] for ids in (dataset.users, dataset.items)]
    train, holdout = (
        Interactions(
            replace(columns, user=users[columns.user], item=items[columns.item], offset=None),
            len(names[0]),
            len(names[1]),
        )
        for columns in (dataset.train.columns(), dataset.holdout.columns())
    )
    return Dataset(train, holdout, Ids(names[0]), Ids(names[1]))


def renumbered(features: Mapping[str, pa.Table], dataset: Dataset) -> dict[str, pa.Table]:
    """Recorded features with the row numbers that `compacted` gives. features: of living entities of the data set."""
    numbers = {"user": _numbers(dataset.users), "item": _numbers(dataset.items)}
    return {
        side: table.set_column(table.column_names.index("row"), "row", pa.array(numbers[side][table["row"].to_numpy()]))
        for side, table in features.items()
    }


def extended(
    dataset: Dataset, recorded: Recorded, rule: LabelRule, holdout: float, seed: int
) -> tuple[Dataset, NDArray[np.bool_]]:
    """A data set without gaps, with new rows, and which recorded rows [N] are new: pairs that it does not have.

    holdout: share of the new rows that is kept from training. Raises DataError where the new rows have no times, and
    those of the data set do.
    """
    if dataset.train.time is not None and recorded.time is None:
        raise DataError("the model's data has times, and the new rows have none; add a column `timestamp`")
    random = np.random.default_rng(seed)
    (user, users), (item, items) = _joined(dataset.users, recorded, "user"), _joined(dataset.items, recorded, "item")
    tables = (dataset.train, dataset.holdout)
    known = np.concatenate([_pairs(table.user, table.item, len(items))[table.recorded] for table in tables])
    new = ~np.isin(_pairs(user, item, len(items)), known)
    chosen = np.flatnonzero(new)
    held = np.isin(chosen, random.permutation(chosen)[: round(holdout * len(chosen))])
    label = rule.labels(recorded.value, len(user))
    pairs = np.unique(np.concatenate([known, _pairs(user, item, len(items))]))
    met = (pairs // len(items)).astype(np.int32), (pairs % len(items)).astype(np.int32)
    parts = []
    for table, rows in zip(tables, (chosen[~held], chosen[held]), strict=True):
        columns = Columns(
            user=user[rows],
            item=item[rows],
            label=label[rows],
            weight=np.ones(len(rows), dtype=np.float32),
            time=None if dataset.train.time is None or recorded.time is None else recorded.time[rows],
            origin=np.arange(len(rows)),
        )
        if rule.negatives and len(columns):
            columns = draw_negatives(columns, met, len(items), rule.negatives, random)
        parts.append(Interactions(_after(table.columns(), columns), len(users), len(items)))
    return Dataset(parts[0], parts[1], Ids(users), Ids(items)), new


def _numbers(ids: Ids) -> Int32:
    """The new number of each row that has an id."""
    living = np.fromiter((name is not None for name in ids), bool, len(ids))
    return (np.cumsum(living) - 1).astype(np.int32)


def _joined(ids: Ids, recorded: Recorded, side: str) -> tuple[Int32, list[str]]:
    """The column of a side by the numbers of a data set, and all its names, new ones last."""
    names, column = (recorded.users, recorded.user) if side == "user" else (recorded.items, recorded.item)
    all_names = [name for name in ids if name is not None]
    numbers = np.empty(len(names), dtype=np.int32)
    for place, name in enumerate(names):
        row = ids.row(name)
        numbers[place] = len(all_names) if row is None else row
        if row is None:
            all_names.append(name)
    return numbers[column], all_names


def _pairs(user: Int32, item: Int32, items: int) -> Int64:
    return user.astype(np.int64) * items + item


def _after(first: Columns, second: Columns) -> Columns:
    """Two sets of rows, one after the other."""
    both = {
        name: np.concatenate([getattr(first, name), getattr(second, name)])
        for name in ("user", "item", "label", "weight")
    }
    time = None if first.time is None or second.time is None else np.concatenate([first.time, second.time])
    return Columns(time=time, origin=np.concatenate([first.origin, second.origin + len(first)]), **both)
