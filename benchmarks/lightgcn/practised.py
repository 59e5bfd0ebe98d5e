"""LightGCN retrained as practised: `benchmarks.methods.practised` with rows that sparse products pass along the graph.

Every batch passes all rows, as in the authors' code. Axes: R rows, K columns of a row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from benchmarks.cases import Case
from benchmarks.methods import practised
from benchmarks.methods.practised import Schedule
from benchmarks.methods.protocol import Budget, Point
from ifru.interactions import Interactions
from ifru.models.lightgcn import LightGCNConfig
from ifru.objective.graph import Edges

RATES = (0.003, 0.01, 0.03)
STEPS = (20, 80)
"""Batches of an epoch, about: every one costs as much propagation as the next, however few interactions it has."""


def run(case: Case, budget: Budget) -> Iterator[Point]:
    """One curve, by epochs, up to where validation AUC stops it."""
    config = cast("LightGCNConfig", case.base.config)
    return practised.run(case, budget, SparseProducts(config.layers, config.graph), grid(case.base.train.retained))


def grid(interactions: int) -> tuple[Schedule, ...]:
    """The schedules that are tried; batches are powers of two."""
    return tuple(Schedule(rate, 1 << round(math.log2(interactions / steps))) for steps in STEPS for rate in RATES)


@dataclass(frozen=True)
class SparseProducts:
    """Z = 1/(L + 1)·Σ_{l=0..L} Âˡ θ, with Â = D^-½AD^-½ [R, R] as a sparse matrix."""

    layers: int
    edges: Edges

    def __call__(self, table: Interactions) -> Callable[[Tensor], Tensor]:
        adjacency = _adjacency(table, self.edges)

        def passed(theta: Tensor) -> Tensor:
            found: Tensor = _Passed.apply(theta, adjacency, self.layers)  # type: ignore[no-untyped-call]
            return found

        return passed


class _Passed(torch.autograd.Function):
    """The matrix is its own transpose: gradients are passed the same way."""

    @staticmethod
    def forward(ctx: Any, theta: Tensor, adjacency: Tensor, layers: int) -> Tensor:
        ctx.graph = adjacency, layers
        return _mean_of_layers(theta, adjacency, layers)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return _mean_of_layers(gradients[0], *ctx.graph), None, None


def _mean_of_layers(x: Tensor, adjacency: Tensor, layers: int) -> Tensor:
    total = layer = x
    for _ in range(layers):
        layer = adjacency @ layer
        total = total + layer
    return total / (layers + 1)


def _adjacency(table: Interactions, edges: Edges) -> Tensor:
    """Â of the retained recorded interactions, or of the positives among them alone."""
    some = table.alive & (table.origin == np.arange(len(table)))
    if edges == "positives":
        some &= table.label > 0.5
    user, item = table.user[some].astype(np.int64), table.item[some].astype(np.int64) + table.users
    ends = torch.from_numpy(np.stack([np.concatenate([user, item]), np.concatenate([item, user])]))
    rows = table.users + table.items
    scale = torch.bincount(ends[0], minlength=rows).clamp(min=1).float().rsqrt()
    values = scale[ends].prod(0)
    return torch.sparse_coo_tensor(ends, values, (rows, rows), check_invariants=True).coalesce().to_sparse_csr()
