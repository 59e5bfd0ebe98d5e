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
from ifru.interactions.dataset import Dataset, Ids
from ifru.interactions.labels import LabelRule
from ifru.interactions.negatives import draw_negatives
from ifru.interactions.table import Bool, Columns, Interactions

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

    def where(self, kept: Bool) -> Recorded:
        """Some rows only [N], numbered anew: an entity without any is not known any more."""
        user, users = _renumbered(self.user[kept], self.users)
        item, items = _renumbered(self.item[kept], self.items)
        value = None if self.value is None else self.value[kept]
        time = None if self.time is None else self.time[kept]
        return Recorded(user, item, value, time, users, items)


def _renumbered(column: NDArray[np.int32], names: list[str]) -> tuple[NDArray[np.int32], list[str]]:
    rows, numbers = np.unique(column, return_inverse=True)
    return numbers.astype(np.int32), [names[row] for row in rows]


def load_dataset(path: Path, rule: LabelRule, holdout: float, seed: int) -> Dataset:
    """Read a data file and split it into train and held-out rows; the same seed gives the same data set.

    holdout: share of the recorded rows that is kept from training, in [0, 1).
    Raises DataError where the file or the rule does not fit.
    """
    check_holdout(holdout)
    return split(read_file(path, rule.column), rule, holdout, seed)


def check_holdout(holdout: float) -> None:
    """Raises DataError for what is no share of rows to keep from training."""
    if not 0 <= holdout < 1:
        raise DataError(f"holdout is {holdout}; allowed is a share from 0 up to, but not including, 1")


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
    table = read_table(path)
    user, users = id_column(table, "user", path)
    item, items = id_column(table, "item", path)
    value = None if value_column is None else _values(table, value_column, path)
    return Recorded(user, item, value, times(table, path), users, items)


def read_table(path: Path) -> pa.Table:
    """All columns of a file. Raises DataError with the file."""
    form = "Parquet" if path.suffix == ".parquet" else "CSV"
    try:
        table = pq.read_table(path) if form == "Parquet" else _read_csv(path)
        names = table.column_names
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file") from error
    except (pa.ArrowInvalid, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as {form}") from error
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"{path}: column {repeated[0]!r} is there {names.count(repeated[0])} times")
    if table.num_rows == 0:
        raise DataError(f"{path}: has no rows")
    return table


def _read_csv(path: Path) -> pa.Table:
    # Ids stay text: '007' and '7' are two users.
    names = [*_ALIASES["user"], *_ALIASES["item"]]
    options = pa.csv.ConvertOptions(column_types={name: pa.string() for name in names})
    return pa.csv.read_csv(path, convert_options=options)


def id_column(table: pa.Table, role: str, path: Path) -> tuple[NDArray[np.int32], list[str]]:
    """A number for every row, and the external id of every number. Raises DataError for a column without some.

    role: `user` or `item`.
    """
    name = id_name(table, role)
    if name is None:
        raise DataError(
            f"{path}: no {role} column; it is looked for as {', '.join(_ALIASES[role])}, "
            f"and the file has {', '.join(table.column_names)}"
        )
    column = _cast(table[name], name, pa.string(), "ids that are neither text nor numbers", path)
    missing = pc.sum(pc.fill_null(pc.equal(column, ""), fill_value=True)).as_py()
    if missing:
        raise DataError(f"{path}: column {name!r} is empty in {missing} rows")
    encoded = column.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    return encoded.indices.to_numpy(zero_copy_only=False).astype(np.int32), encoded.dictionary.to_pylist()


def id_name(table: pa.Table, role: str) -> str | None:
    """The column that has the ids; None where there is none."""
    return next((name for name in _ALIASES[role] if name in table.column_names), None)


def _values(table: pa.Table, name: str, path: Path) -> NDArray[np.float64]:
    if name not in table.column_names:
        raise DataError(f"{path}: the label rule reads column {name!r}, the file has {', '.join(table.column_names)}")
    values = _cast(table[name], name, pa.float64(), "something that is not a number", path).to_numpy()
    if not np.isfinite(values).all():
        raise DataError(f"{path}: column {name!r} has empty or infinite values")
    return np.asarray(values, dtype=np.float64)


def times(table: pa.Table, path: Path) -> NDArray[np.int64] | None:
    """Microseconds since the epoch of each row; None where the table has no times. Raises DataError."""
    name = next((name for name in _ALIASES["time"] if name in table.column_names), None)
    if name is None:
        return None
    problem = "something that is neither a timestamp nor seconds since the epoch"
    if pa.types.is_temporal(table[name].type):
        column = _cast(table[name], name, pa.timestamp("us"), problem, path)
    else:
        seconds = _cast(table[name], name, pa.float64(), problem, path)
        column = _cast(pc.round(pc.multiply(seconds, 1e6)), name, pa.int64(), problem, path)
    if column.null_count:
        raise DataError(f"{path}: column {name!r} is empty in {column.null_count} rows")
    return np.asarray(column.to_numpy().astype(np.int64))


def _cast(column: pa.ChunkedArray, name: str, to: pa.DataType, problem: str, path: Path) -> pa.ChunkedArray:
    """A column as another type; where that is a coarser timestamp, digits below it are dropped."""
    try:
        return pc.cast(column, to, safe=not pa.types.is_temporal(to))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(f"{path}: column {name!r} holds {problem}") from error
