"""A model of shards: each is trained on its own users' interactions alone.

Axes: R rows, S shards, K columns of a row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmarks.base import CPU
from ifru.interactions import Columns, Interactions
from ifru.interactions.table import Int64
from ifru.models import ModelConfig
from ifru.training import fit


@dataclass(frozen=True)
class Part:
    """A shard's interactions, with rows of its own. rows [n]: their numbers in the whole model, users first."""

    table: Interactions
    rows: Tensor


def part_of(table: Interactions, of_user: Int64, shard: int) -> Part:
    """The retained interactions of a shard's users."""
    mine = np.flatnonzero(table.alive & (of_user[table.user] == shard))
    users, user = np.unique(table.user[mine], return_inverse=True)
    items, item = np.unique(table.item[mine], return_inverse=True)
    columns = Columns(
        user=user.astype(np.int32),
        item=item.astype(np.int32),
        label=table.label[mine],
        weight=table.weight[mine],
        time=None,
        origin=np.arange(len(mine)),
    )
    rows = np.concatenate([users, items.astype(np.int64) + table.users]).astype(np.int64)
    return Part(Interactions(columns, len(users), len(items)), torch.from_numpy(rows))


def trained(part: Part, config: ModelConfig, rows: int, seed: int) -> Tensor:
    """θ [R, K] of a shard, by this project's trainer from scratch; zero for rows that are not its own."""
    theta = torch.zeros(rows, config.rank)
    if len(part.table):
        theta[part.rows] = fit(part.table, config, seed=seed, device=CPU, dtype=torch.float32).theta
    return theta
