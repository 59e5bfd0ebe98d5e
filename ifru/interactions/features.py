"""What is known of users and items besides their interactions: as it was recorded, and as numbers.

Axes: E entities (rows of a parameter table), F numbers of an entity.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, FiniteFloat, PositiveFloat

from ifru.interactions.table import Float32

ROW = "row"
"""The column of a feature table that says whose features these are; all others hold features."""

_FEWEST = 5
"""Entities that a category has at least to count: fewer would keep a trace of one person where an encoding is kept."""


class FeatureColumn(BaseModel):
    """How one recorded column becomes numbers.

    values: categories, each a number that is 1 where an entity is of it; None for a column of numbers, which becomes
    (number − mean)/scale. Whoever has no features, or another category, has zeros.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    mean: FiniteFloat = 0.0
    scale: PositiveFloat = 1.0
    values: tuple[str, ...] | None = None

    @property
    def width(self) -> int:
        """How many numbers an entity has of it."""
        return 1 if self.values is None else len(self.values)


def encoding_of(features: pa.Table) -> tuple[FeatureColumn, ...]:
    """How a feature table is encoded: columns of text and of truth values by category, others as numbers.

    A column that tells nobody apart is left out.
    """
    columns = (_column(name, features[name]) for name in features.column_names if name != ROW)
    return tuple(column for column in columns if column is not None)


def encoded(features: pa.Table, encoding: Sequence[FeatureColumn], entities: int) -> Float32:
    """Numbers [E, F] of so many entities. Raises KeyError where a column is not there."""
    out = np.zeros((entities, sum(column.width for column in encoding)), dtype=np.float32)
    rows, first = features[ROW].to_numpy(), 0
    for column in encoding:
        recorded = features[column.name]
        if column.values is None:
            numbers = recorded.cast(pa.float64()).to_numpy()
            out[rows, first] = (numbers - column.mean) / column.scale
        else:
            place = pc.index_in(recorded.cast(pa.string()), value_set=pa.array(column.values, pa.string()))
            known = place.is_valid().to_numpy()
            out[rows[known], first + place.drop_null().to_numpy()] = 1
        first += column.width
    return out


def is_category(column: pa.ChunkedArray) -> bool:
    """Whether a column is of text or of truth values."""
    kind = column.type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_boolean(kind))


def _column(name: str, column: pa.ChunkedArray) -> FeatureColumn | None:
    if not is_category(column):
        numbers = column.cast(pa.float64()).to_numpy()
        scale = float(numbers.std())
        return FeatureColumn(name=name, mean=float(numbers.mean()), scale=scale) if scale > 0 else None
    counted = column.cast(pa.string()).drop_null().value_counts()
    frequent = sorted(str(each["values"]) for each in counted.to_pylist() if each["counts"] >= _FEWEST)
    return FeatureColumn(name=name, values=tuple(frequent)) if frequent else None
