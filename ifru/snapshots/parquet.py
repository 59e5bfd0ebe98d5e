"""Interactions, ids and features as Parquet bytes.

Axes: N retained interactions, in the order (user, item), which is their position in all deltas on this full version.
"""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ifru.interactions import Columns, Ids, Interactions


def encode_interactions(interactions: Interactions) -> bytes:
    """The retained rows: user, item (int32), label, weight (float32), origin (int64).

    Also time (int64) and offset (float32), where they are known.
    """
    kept = interactions.columns()
    columns = {
        "user": kept.user,
        "item": kept.item,
        "label": kept.label,
        "weight": kept.weight,
        "origin": kept.origin,
    }
    columns |= {name: known for name in ("time", "offset") if (known := getattr(kept, name)) is not None}
    return _encode(pa.table(columns))


def decode_interactions(data: bytes, users: int, items: int) -> Interactions:
    """Raises ValueError or KeyError for bytes that hold none."""
    table = pq.read_table(pa.BufferReader(data))
    columns = {name: table[name].to_numpy() for name in table.column_names}
    return Interactions(
        Columns(
            user=columns["user"],
            item=columns["item"],
            label=columns["label"],
            weight=columns["weight"],
            time=columns.get("time"),
            origin=columns["origin"],
            offset=columns.get("offset"),
        ),
        users,
        items,
    )


def encode_ids(ids: Ids) -> bytes:
    """row (int32) and id (string) of the entities that still have one."""
    live = [(row, name) for row, name in enumerate(ids) if name is not None]
    rows = np.array([row for row, _ in live], dtype=np.int32)
    return _encode(pa.table({"row": rows, "id": pa.array([name for _, name in live], pa.large_string())}))


def decode_ids(data: bytes, rows: int) -> Ids:
    """The ids of a table with so many rows. Raises ValueError or KeyError for bytes that hold none."""
    table = pq.read_table(pa.BufferReader(data))
    names: list[str | None] = [None] * rows
    for row, name in zip(table["row"].to_pylist(), table["id"].to_pylist(), strict=True):
        names[row] = name
    return Ids(names)


def living(features: pa.Table, ids: Ids) -> pa.Table:
    """Features without the rows of erased entities."""
    known = np.fromiter((name is not None for name in ids), bool, len(ids))
    return features.filter(pa.array(known[features["row"].to_numpy()]))


def encode_features(features: pa.Table, ids: Ids) -> bytes:
    """row (integer), and any columns, of the entities that still have an id. Raises ValueError for other rows."""
    return _encode(living(_checked(features, len(ids)), ids))


def decode_features(data: bytes, rows: int) -> pa.Table:
    """The features of a table with so many rows. Raises ValueError or KeyError for bytes that hold none."""
    return _checked(pq.read_table(pa.BufferReader(data)), rows)


def _checked(features: pa.Table, rows: int) -> pa.Table:
    numbers = features["row"].to_numpy()
    if (
        numbers.dtype.kind != "i"
        or len(np.unique(numbers)) < len(numbers)
        or not ((numbers >= 0) & (numbers < rows)).all()
    ):
        raise ValueError(f"the rows of features are whole numbers below {rows}, each at most once")
    return features


def _encode(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    # Without Arrow's own schema and pandas' metadata: any Parquet reader sees all there is.
    pq.write_table(table, sink, compression="zstd", store_schema=False)
    return sink.getvalue()
