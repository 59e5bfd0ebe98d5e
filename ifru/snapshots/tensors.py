"""Parameters as safetensors bytes, without metadata: the same values give the same bytes.

Axes: U users, I items, K columns of a table (the embedding, then the bias where the model has one), n rows of a delta.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import safetensors.numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

from ifru.interactions import Deletion
from ifru.interactions.table import Float32, Int64
from ifru.models import ModelConfig, model_of
from ifru.objective.parameters import Parameters

Array = NDArray[np.generic] | Tensor
T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True)
class Rows:
    """New values of some rows of a table. rows [n]: ascending and unique. values [n, K]."""

    rows: Int64
    values: Float32

    @staticmethod
    def of(rows: Array, values: Array) -> Rows:
        """Rows in any order, on any device. Raises ValueError where a row comes twice, or the shapes do not fit."""
        unordered, unordered_values = _array(rows, np.int64), _array(values, np.float32)
        if unordered.ndim != 1 or unordered_values.ndim != 2 or len(unordered) != len(unordered_values):
            raise ValueError(f"rows {unordered.shape} and values {unordered_values.shape} do not fit")
        order = np.argsort(unordered)
        ordered = unordered[order]
        if (ordered[1:] == ordered[:-1]).any():
            raise ValueError("a row has two new values")
        return Rows(ordered, unordered_values[order])


@dataclass(frozen=True)
class Delta:
    """What changes from one version to the next. deletion: row positions in the files of the full version."""

    user: Rows
    item: Rows
    deletion: Deletion


def encode_tables(tables: Parameters, config: ModelConfig) -> bytes:
    """`<table>.embedding` [U or I, rank], and `<table>.bias` [U or I] where the model has biases."""
    return safetensors.numpy.save(named_arrays(tables, config))


def decode_tables(data: bytes) -> Parameters:
    """Parameters [U, K] and [I, K]. Raises KeyError or SafetensorError for bytes that hold none."""
    arrays = safetensors.numpy.load(data)
    return Parameters.of(torch.from_numpy(_join("user", arrays)), torch.from_numpy(_join("item", arrays)))


def encode_delta(delta: Delta, config: ModelConfig) -> bytes:
    """The same names for the changed rows, `<table>.rows`, and the positions `erased.train`, `erased.holdout`."""
    arrays: dict[str, NDArray[np.generic]] = {
        "user.rows": delta.user.rows,
        "item.rows": delta.item.rows,
        "erased.train": _array(delta.deletion.train, np.int64),
        "erased.holdout": _array(delta.deletion.holdout, np.int64),
    }
    arrays |= _split("user", delta.user.values, config) | _split("item", delta.item.values, config)
    return safetensors.numpy.save(arrays)


def decode_delta(data: bytes) -> Delta:
    """Raises KeyError or SafetensorError for bytes that hold none."""
    arrays = safetensors.numpy.load(data)
    return Delta(
        user=Rows(arrays["user.rows"], _join("user", arrays)),
        item=Rows(arrays["item.rows"], _join("item", arrays)),
        deletion=Deletion(arrays["erased.train"], arrays["erased.holdout"]),
    )


def named_arrays(tables: Parameters, config: ModelConfig) -> dict[str, Float32]:
    """Parameters under the names that they have in the files."""
    user, item = _array(tables.user, np.float32), _array(tables.item, np.float32)
    return _split("user", user, config) | _split("item", item, config)


def _split(name: str, table: Float32, config: ModelConfig) -> dict[str, Float32]:
    columns = config.rank + ("bias" in model_of(config).columns)
    if table.shape[1] != columns:
        raise ValueError(f"the {name} table has {table.shape[1]} columns; the model has {columns}")
    # safetensors writes the wrong numbers for arrays that are not contiguous, and does not say so.
    parts = {f"{name}.embedding": np.ascontiguousarray(table[:, : config.rank])}
    if "bias" in model_of(config).columns:
        parts[f"{name}.bias"] = np.ascontiguousarray(table[:, config.rank])
    return parts


def _join(name: str, arrays: Mapping[str, Float32]) -> Float32:
    embedding, bias = arrays[f"{name}.embedding"], arrays.get(f"{name}.bias")
    return embedding if bias is None else np.column_stack([embedding, bias])


def _array(values: Array, dtype: type[T]) -> NDArray[T]:
    source = values.detach().cpu().numpy() if isinstance(values, Tensor) else values
    return np.ascontiguousarray(source, dtype=dtype)
