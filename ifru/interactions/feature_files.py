"""Files of features: CSV (plain or gzipped) or Parquet, a row for each user or item."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from ifru.errors import DataError
from ifru.interactions.dataset import Ids
from ifru.interactions.features import ROW, is_category
from ifru.interactions.loading import id_column, id_name, read_table


def load_features(path: Path, side: str, ids: Ids) -> pa.Table:
    """The features of users or items that have interactions, with their rows in a column `row`.

    side: `user` or `item`. Columns hold numbers, text or truth values. Whoever is not in the file has no features.
    Raises DataError with the file for ids that are unknown or there twice, and for columns that cannot be used.
    """
    table = read_table(path)
    place, names = id_column(table, side, path)
    if len(names) < len(place):
        twice = names[int(np.bincount(place).argmax())]
        raise DataError(f"{path}: {side} {twice!r} is there {int(np.bincount(place).max())} times; give each a row")
    rows = [ids.row(name) for name in names]
    if unknown := [name for name, row in zip(names, rows, strict=True) if row is None]:
        raise DataError(
            f"{path}: {len(unknown):,} {side}s are not in the data, such as {unknown[0]!r}; leave out their rows"
        )
    features = table.drop_columns([id_name(table, side)])
    if not features.column_names:
        raise DataError(f"{path}: has a column of ids and no features")
    for name in features.column_names:
        _check(features[name], name, path)
    numbers = np.array(rows, dtype=np.int32)[place]
    return features.add_column(0, ROW, pa.array(numbers)).combine_chunks()


def _check(column: pa.ChunkedArray, name: str, path: Path) -> None:
    if name == ROW:
        raise DataError(f"{path}: column {ROW!r} has a name that is taken; name it otherwise")
    if is_category(column):
        return
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        raise DataError(f"{path}: column {name!r} is of type {column.type}; numbers, text and truth values can be read")
    bad = int((~np.isfinite(column.cast(pa.float64()).to_numpy())).sum())
    if bad:
        raise DataError(f"{path}: column {name!r} is empty or not finite in {bad:,} rows; fill them in or leave it out")
