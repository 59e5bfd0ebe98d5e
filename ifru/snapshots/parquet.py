"""Interactions, ids, features and answered requests as Parquet bytes.

Axes: N retained interactions, in the order (user, item), which is their position in all deltas on this full version.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ifru.interactions import Columns, Ids, Interactions
from ifru.snapshots.answered import STATES, AnswerRows, Run
from ifru.snapshots.suppressed import KINDS, NO_TIME, Suppressed


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
    return _encode(pa.table(columns), ["label", "weight"], rising=["user", "item", "origin"])


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


def encode_answered(run: Run) -> bytes:
    """hash (uint64), fingerprint (uint32), state (string), version, time (int64) and residual (float64) of each."""
    rows = run.columns()
    columns = {
        "hash": rows.hash,
        "fingerprint": pa.array(rows.fingerprint, mask=rows.fingerprint == 0),
        "state": pa.DictionaryArray.from_arrays(rows.state.astype(np.int8), pa.array(STATES)),
        "version": rows.version,
        "time": rows.time,
        "residual": pa.array(rows.residual, mask=np.isnan(rows.residual)),
    }
    return _encode(pa.table(columns), ["state", "version", "time", "residual"])


def decode_answered(data: bytes) -> Run:
    """Raises ValueError or KeyError for bytes that hold none."""
    file = pq.ParquetFile(pa.BufferReader(data))

    def column(name: str) -> pa.ChunkedArray:
        # Threads keep what they have freed each for itself.
        return file.read([name], use_threads=False)[name]

    states = pc.index_in(column("state"), value_set=pa.array(STATES))
    if states.null_count:
        raise ValueError(f"states are {', '.join(STATES)}")
    run = Run.of(
        AnswerRows(
            hash=column("hash").to_numpy(),
            fingerprint=column("fingerprint").fill_null(0).to_numpy(),
            state=states.to_numpy().astype(np.uint8),
            version=column("version").to_numpy(),
            time=column("time").to_numpy(),
            residual=column("residual").to_numpy(),
        )
    )
    # Arrow keeps what it has freed, which here is more than what stays.
    pa.default_memory_pool().release_unused()
    return run


def encode_suppressed(suppressed: Suppressed) -> bytes:
    """kind (string), hash (uint64), time (int64, null where it has none) and released (boolean) of each entry."""
    columns = {
        "kind": pa.DictionaryArray.from_arrays(suppressed.kind.astype(np.int8), pa.array(KINDS)),
        "hash": suppressed.hash,
        "time": pa.array(suppressed.time, mask=suppressed.time == NO_TIME),
        "released": suppressed.released,
    }
    return _encode(pa.table(columns), ["kind", "released"])


def decode_suppressed(data: bytes) -> Suppressed:
    """Raises ValueError or KeyError for bytes that hold none."""
    table = pq.read_table(pa.BufferReader(data), use_threads=False)
    kinds = pc.index_in(table["kind"], value_set=pa.array(KINDS))
    if kinds.null_count:
        raise ValueError(f"kinds are {', '.join(KINDS)}")
    return Suppressed(
        kind=kinds.to_numpy().astype(np.uint8),
        hash=table["hash"].to_numpy(),
        time=table["time"].fill_null(NO_TIME).to_numpy(),
        released=table["released"].to_numpy(),
    )


def _checked(features: pa.Table, rows: int) -> pa.Table:
    numbers = features["row"].to_numpy()
    if (
        numbers.dtype.kind != "i"
        or len(np.unique(numbers)) < len(numbers)
        or not ((numbers >= 0) & (numbers < rows)).all()
    ):
        raise ValueError(f"the rows of features are whole numbers below {rows}, each at most once")
    return features


def _encode(table: pa.Table, repeating: Sequence[str] | Literal[True] = True, rising: Sequence[str] = ()) -> bytes:
    """repeating: columns whose values are written once and then referred to. rising: those of small differences."""
    sink = io.BytesIO()
    # Without Arrow's own schema and pandas' metadata: any Parquet reader sees all there is.
    pq.write_table(
        table,
        sink,
        compression="zstd",
        store_schema=False,
        use_dictionary=repeating,
        column_encoding=dict.fromkeys(rising, "DELTA_BINARY_PACKED") or None,
    )
    return sink.getvalue()
