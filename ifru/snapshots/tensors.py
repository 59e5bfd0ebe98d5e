"""Parameters as safetensors bytes, without metadata: the same values give the same bytes.

Axes: K columns of a table, n rows of a delta.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, get_args

import numpy as np
import torch
from safetensors.torch import load as decode_tensors
from safetensors.torch import save
from torch import Tensor

from ifru.interactions import Deletion, NewLabels
from ifru.interactions.dataset import NO_LABELS
from ifru.models import ModelConfig, model_of
from ifru.objective.parameters import Layout, Parameters, ParameterUpdate, Steps
from ifru.snapshots.parts import DType, Table
from ifru.snapshots.steps import decode_steps, encode_steps

DTYPES: Final[dict[DType, torch.dtype]] = {name: getattr(torch, name) for name in get_args(DType)}


@dataclass(frozen=True)
class Delta:
    """What changes from one version to the next. deletion: row positions in the files of the full version."""

    update: ParameterUpdate
    deletion: Deletion


def encode_tensors(tensors: Mapping[str, Tensor]) -> bytes:
    # safetensors does not take tensors that are not contiguous.
    return save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})


def decode_parameters(data: bytes, config: ModelConfig) -> Parameters:
    """Raises KeyError, ValueError or SafetensorError for bytes that hold none of this model."""
    tensors, layout = decode_tensors(data), _layout(config)
    tables = {name: _joined(name, tensors, layout) for name in layout.rows}
    shared = {name: tensors[f"shared.{name}"] for name in layout.shared}
    _check_shared(shared, layout)
    return Parameters(tables, shared)


def encode_delta(delta: Delta, config: ModelConfig, tables: Mapping[str, Table]) -> bytes:
    """The same names for the changed rows [n], which are `<table>.rows`, and for changed shared tensors; then steps.

    Besides, the positions `erased.train` and `erased.holdout`, and where labels change `labels.train.rows`,
    `labels.train.label` and the same of `holdout`. tables: that the rows belong to; they are stored in
    float32 where it is not known. Raises ValueError for what fits no such table.
    """
    layout = _layout(config)
    tensors = {
        "erased.train": torch.from_numpy(np.ascontiguousarray(delta.deletion.train, dtype=np.int64)),
        "erased.holdout": torch.from_numpy(np.ascontiguousarray(delta.deletion.holdout, dtype=np.int64)),
    }
    for table, new in (("train", delta.deletion.train_labels), ("holdout", delta.deletion.holdout_labels)):
        if len(new):
            tensors[f"labels.{table}.rows"] = torch.from_numpy(new.rows.astype(np.int64))
            tensors[f"labels.{table}.label"] = torch.from_numpy(new.label.astype(np.float32))
    for name, (rows, values) in delta.update.tables.items():
        if len(rows) == 0:
            continue
        ordered, order = rows.cpu().long().sort()
        _check_rows(name, ordered, values, layout, tables.get(name))
        dtype = DTYPES[tables[name].dtype] if name in tables else torch.float32
        tensors[f"{name}.rows"] = ordered
        tensors |= _split(name, values.cpu()[order].to(dtype), layout)
    for name, steps in delta.update.steps.items():
        if len(steps.rows):
            _check_steps(name, steps, layout, tables.get(name))
            tensors |= encode_steps(name, steps, layout)
    return encode_tensors(tensors | _shared(delta.update.shared, layout))


def decode_delta(data: bytes, config: ModelConfig, tables: Mapping[str, Table]) -> Delta:
    """Raises KeyError, ValueError or SafetensorError for bytes that hold none of this model and these tables."""
    tensors, layout = decode_tensors(data), _layout(config)
    moved = {}
    for name in layout.rows:
        if (rows := tensors.get(f"{name}.rows")) is not None:
            moved[name] = rows, _joined(name, tensors, layout)
            _check_rows(name, *moved[name], layout, tables.get(name))
    stepped = {name: decode_steps(name, tensors, layout) for name in layout.rows if f"steps.{name}.rows" in tensors}
    for name, steps in stepped.items():
        _check_steps(name, steps, layout, tables.get(name))
    shared = {name: tensors[f"shared.{name}"] for name in layout.shared if f"shared.{name}" in tensors}
    _check_shared(shared, layout)
    erased = tensors["erased.train"].numpy(), tensors["erased.holdout"].numpy()
    deletion = Deletion(*erased, _labels(tensors, "train"), _labels(tensors, "holdout"))
    return Delta(ParameterUpdate(moved, shared, stepped), deletion)


def _labels(tensors: Mapping[str, Tensor], table: str) -> NewLabels:
    if f"labels.{table}.rows" not in tensors:
        return NO_LABELS
    rows, label = tensors[f"labels.{table}.rows"], tensors[f"labels.{table}.label"]
    if rows.shape != label.shape or rows.ndim != 1 or (rows[1:] <= rows[:-1]).any():
        raise ValueError(f"labels.{table} are not rows, ascending, with a label each")
    return NewLabels(rows.numpy(), label.numpy())


def named_tensors(parameters: Parameters, config: ModelConfig) -> dict[str, Tensor]:
    """Parameters under the names that they have in the files: `<table>.<column>` and `shared.<name>`.

    Raises ValueError for parameters of another model.
    """
    layout = _layout(config, len(parameters.user), len(parameters.item))
    shapes = {name: tuple(table.shape) for name, table in parameters.tables.items()}
    expected = {name: (rows, layout.width) for name, rows in layout.rows.items()}
    if shapes != expected or parameters.shared.keys() != layout.shared.keys():
        found = f"{shapes} and {sorted(parameters.shared)}"
        raise ValueError(f"the tables and shared tensors are {found}; the model has {expected} and {layout.shared}")
    tensors: dict[str, Tensor] = {}
    for name, table in parameters.tables.items():
        tensors |= _split(name, table.to(DTYPES[_dtype(table)]), layout)
    return tensors | _shared(parameters.shared, layout)


def tables_of(parameters: Parameters) -> dict[str, Table]:
    """How the tables are stored."""
    return {name: Table(rows=len(table), dtype=_dtype(table)) for name, table in parameters.tables.items()}


def _layout(config: ModelConfig, users: int = 0, items: int = 0) -> Layout:
    return model_of(config).layout(users, items)


def _dtype(tensor: Tensor) -> DType:
    return next((name for name, dtype in DTYPES.items() if dtype == tensor.dtype), "float32")


def _shared(tensors: Mapping[str, Tensor], layout: Layout) -> dict[str, Tensor]:
    _check_shared(tensors, layout)
    # safetensors does not take tensors that share their memory, as tied weights do.
    return {f"shared.{name}": tensor.to(DTYPES[_dtype(tensor)], copy=True) for name, tensor in tensors.items()}


def _check_shared(tensors: Mapping[str, Tensor], layout: Layout) -> None:
    for name, tensor in tensors.items():
        if tuple(tensor.shape) != layout.shared.get(name):
            raise ValueError(f"shared tensor {name} is {tuple(tensor.shape)}; the model has {dict(layout.shared)}")


def _check_rows(name: str, rows: Tensor, values: Tensor, layout: Layout, table: Table | None) -> None:
    if name not in layout.rows or values.shape != (len(rows), layout.width):
        raise ValueError(
            f"{len(rows)} rows and values {tuple(values.shape)} of the {name} table do not fit; "
            f"the model has {layout.width} columns in {', '.join(layout.rows)}"
        )
    if (rows[1:] == rows[:-1]).any():
        raise ValueError(f"a row of the {name} table has two new values")
    if len(rows) and not 0 <= int(rows[0]) <= int(rows[-1]) < (table.rows if table else np.inf):
        raise ValueError(f"rows {int(rows[0])} to {int(rows[-1])} of the {name} table, which are not all there")


def _check_steps(name: str, steps: Steps, layout: Layout, table: Table | None) -> None:
    _check_rows(name, steps.rows, steps.counts, layout, table)
    if table is not None and table.dtype != "float32":
        raise ValueError(f"rows of the {name} table, which is {table.dtype}, take steps; only float32 takes them")


def _split(name: str, values: Tensor, layout: Layout) -> dict[str, Tensor]:
    parts = torch.split(values, list(layout.columns.values()), dim=1)
    return {f"{name}.{column}": part for column, part in zip(layout.columns, parts, strict=True)}


def _joined(name: str, tensors: Mapping[str, Tensor], layout: Layout) -> Tensor:
    parts = [tensors[f"{name}.{column}"] for column in layout.columns]
    # Format 1 has a vector for the bias.
    parts = [part[:, None] if part.ndim == 1 else part for part in parts]
    shapes = [tuple(part.shape) for part in parts]
    if shapes != [(len(parts[0]), count) for count in layout.columns.values()]:
        raise ValueError(f"the {name} table is made of {shapes}; the model has columns {dict(layout.columns)}")
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
