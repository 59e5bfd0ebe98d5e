"""The objective of a version in float64, from its tables and its retained interactions alone.

Axes: N retained interactions, K columns of a row.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ifru.models import ModelConfig, model_of
from ifru.objective.losses import Loss
from ifru.objective.parameters import Parameters
from ifru.proof.errors import ProofError
from ifru.proof.retained import Retained
from ifru.proof.sums import EPS, Sum, total

_CHUNK = 1 << 13
"""Interactions at a time: their rows stay in the processor's cache."""


def in_float64(tables: Parameters, retained: Retained, config: ModelConfig) -> Parameters:
    """The tables in float64, on the CPU. Raises ProofError where their shapes or values do not fit."""
    width = sum(model_of(config).columns.values())
    for name, table, rows in (
        ("user", tables.user, len(retained.user_degree)),
        ("item", tables.item, len(retained.item_degree)),
    ):
        if tuple(table.shape) != (rows, width):
            raise ProofError(
                f"the {name} table is {list(table.shape)}; the data and a model of rank {config.rank} "
                f"{'with' if ('bias' in model_of(config).columns) else 'without'} biases need {[rows, width]}"
            )
        if not bool(table.isfinite().all()):
            raise ProofError(f"the {name} table holds a value that is not finite")
    return Parameters.of(tables.user.detach().cpu().double(), tables.item.detach().cpu().double())


def scores(tables: Parameters, retained: Retained, config: ModelConfig) -> Tensor:
    """s [N]."""
    model = model_of(config)
    out = torch.empty_like(retained.label)
    for first in range(0, len(out), _CHUNK):
        part = slice(first, first + _CHUNK)
        out[part] = model.scores(tables.user[retained.user[part]], tables.item[retained.item[part]])
    return out


def objective(tables: Parameters, retained: Retained, score: Tensor, loss: Loss, config: ModelConfig) -> Sum:
    """L, with a bound on its rounding error, that of the scores included."""
    label, weight = retained.label, retained.weight
    value = loss.value(score, label)
    lengths = tables.user.norm(dim=1)[retained.user] * tables.item.norm(dim=1)[retained.item]
    if "bias" in model_of(config).columns:
        lengths = lengths + tables.user[:, -1].abs()[retained.user] + tables.item[:, -1].abs()[retained.item]
    from_score = EPS * (config.rank + 4) * lengths * loss.slope(score, label).abs()
    from_value = 32 * EPS * (value.abs() + (label * score).abs())
    out = total(weight * value, weight * (from_score + from_value))
    for table, degree in ((tables.user, retained.user_degree), (tables.item, retained.item_degree)):
        squares = config.l2 / 2 * degree * table.square().sum(1)
        out = out + total(squares, EPS * (table.shape[1] + 4) * squares)
    return out
