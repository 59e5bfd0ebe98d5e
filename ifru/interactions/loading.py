"""Data files into data sets: CSV (plain or gzipped) and Parquet, ids of any type."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ifru.errors import DataError
from ifru.interactions.dataset import Dataset
from ifru.interactions.ids import Ids
from ifru.interactions.labels import LabelRule
from ifru.interactions.negatives import draw_negatives
from ifru.interactions.table import Columns, Interactions

_ALIASES = {
    "user": ("user", "user_id", "userid", "userId", "uid"),
    "item": ("item", "item_id", "itemid", "itemId", "movieId", "iid"),
    "time": ("timestamp", "time"),
}


@dataclass(frozen=True)
class Recorded:
    """A data file, read: rows in the file's order, ids numbered in the order in which they first appear.

    user, item [N]: row numbers. value [N]: the column of the label rule. time [N]: microseconds since the epoch.
    """

    user: NDArray[np.int32]
    item: NDArray[np.int32]
    value: NDArray[np.float64] | None
    time: NDArray[np.int64] | None
    users: list[str]
    items: list[str]


def load_dataset(path: Path, rule: LabelRule, holdout: float, seed: int) -> Dataset:
    """Read a data file and split it into train and held-out rows; the same seed gives the same data set.

    holdout: share of the recorded rows that is kept from training, in [0, 1).
    Raises DataError where the file or the rule does not fit.
    """
    if not 0 <= holdout < 1:
        raise DataError(f"holdout is {holdout}; allowed is a share from 0 up to, but not including, 1")
    return split(read_file(path, rule.column), rule, holdout, seed)


def split(recorded: Recorded, rule: LabelRule, holdout: float, seed: int) -> Dataset:
    """Split recorded rows at random, then draw each part's negatives."""
    random = np.random.default_rng(seed)
    rows = len(recorded.user)
    held = np.zeros(rows, dtype=bool)
    held[random.permutation(rows)[: round(holdout * rows)]] = True
    label = rule.labels(recorded.value, rows)
    users, items = len(recorded.users), len(recorded.items)
    parts = []
    for part in (~held, held):
        columns = Columns(
            user=recorded.user[part],
            item=recorded.item[part],
            label=label[part],
            weight=np.ones(int(part.sum()), dtype=np.float32),
            time=None if recorded.time is None else recorded.time[part],
            origin=np.arange(int(part.sum())),
        )
        if rule.negatives and len(columns):
            columns = draw_negatives(columns, (recorded.user, recorded.item), items, rule.negatives, random)
        parts.append(Interactions(columns, users, items))
    return Dataset(parts[0], parts[1], Ids(recorded.users), Ids(recorded.items))


def read_file(path: Path, value_column: str | None) -> Recorded:
    """Read the columns that are needed. Raises DataError with the file, and the column where it is one."""
    table = _read_table(path)
    user, users = _numbered(_column(table, "user", path), path)
    item, items = _numbered(_column(table, "item", path), path)
    value = None if value_column is None else _values(table, value_column, path)
    return Recorded(user, item, value, _times(table, path), users, items)


def _read_table(path: Path) -> pa.Table:
    try:
        if path.suffix == ".parquet":
            return pq.read_table(path)
        # Ids stay text: '007' and '7' are two users.
        names = [*_ALIASES["user"], *_ALIASES["item"]]
        options = pa.csv.ConvertOptions(column_types={name: pa.string() for name in names})
        return pa.csv.read_csv(path, convert_options=options)
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{path}: cannot be read as {'Parquet' if path.suffix == '.parquet' else 'CSV'}") from error


def _column(table: pa.Table, role: str, path: Path) -> pa.ChunkedArray:
    for name in _ALIASES[role]:
        if name in table.column_names:
            return table[name]
    raise DataError(
        f"{path}: no {role} column; it is looked for as {', '.join(_ALIASES[role])}, "
        f"and the file has {', '.join(table.column_names)}"
    )


def _numbered(column: pa.ChunkedArray, path: Path) -> tuple[NDArray[np.int32], list[str]]:
    if column.null_count:
        raise DataError(f"{path}: {column.null_count} rows have no user or no item")
    encoded = pc.cast(column, pa.string()).combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    return encoded.indices.to_numpy(zero_copy_only=False).astype(np.int32), encoded.dictionary.to_pylist()


def _values(table: pa.Table, name: str, path: Path) -> NDArray[np.float64]:
    if name not in table.column_names:
        raise DataError(f"{path}: the label rule reads column {name!r}, the file has {', '.join(table.column_names)}")
    try:
        values = pc.cast(table[name], pa.float64()).to_numpy()
    except pa.ArrowInvalid as error:
        raise DataError(f"{path}: column {name!r} holds something that is not a number") from error
    if not np.isfinite(values).all():
        raise DataError(f"{path}: column {name!r} has empty or infinite values")
    return np.asarray(values, dtype=np.float64)


def _times(table: pa.Table, path: Path) -> NDArray[np.int64] | None:
    for name in _ALIASES["time"]:
        if name not in table.column_names:
            continue
        column = table[name]
        if pa.types.is_timestamp(column.type):
            return np.asarray(pc.cast(column, pa.timestamp("us")).to_numpy().astype(np.int64))
        try:
            seconds = pc.cast(column, pa.float64()).to_numpy()
        except pa.ArrowInvalid as error:
            raise DataError(f"{path}: column {name!r} is neither a timestamp nor seconds since the epoch") from error
        return np.asarray((seconds * 1e6).astype(np.int64))
    return None
