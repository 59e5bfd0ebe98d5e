"""Shards into one model by learned attention, as in RecEraser.

Each shard's embeddings are transformed into a common space, and summed with weights that a small network gives them.
Axes: R rows, S shards, K columns of a row, n interactions of a batch, A columns of the attention.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from benchmarks.timing import Stopwatch
from ifru.interactions import Interactions

_BATCH = 4096
_RATE = 3e-3
_CHUNK = 1 << 14


class Attention(nn.Module):
    """Weights and transforms of S shards, trained for the cross-entropy of the aggregated scores."""

    def __init__(self, shards: int, width: int) -> None:
        super().__init__()
        inner = max(width // 2, 1)
        self.transform = nn.Parameter(torch.eye(width).expand(shards, -1, -1).clone())
        self.shift = nn.Parameter(torch.zeros(shards, width))
        self.user = nn.Sequential(nn.Linear(width, inner), nn.ReLU(), nn.Linear(inner, 1, bias=False))
        self.item = nn.Sequential(nn.Linear(width, inner), nn.ReLU(), nn.Linear(inner, 1, bias=False))

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """Scores [n] of embeddings [n, S, K] of both sides."""
        return (self.aggregated(users, self.user) * self.aggregated(items, self.item)).sum(1)

    def aggregated(self, embedding: Tensor, weigh: nn.Module) -> Tensor:
        """[n, K] of embeddings [n, S, K]."""
        moved = torch.einsum("nsk,skd->nsd", embedding, self.transform) + self.shift
        found: Tensor = (torch.softmax(weigh(moved), dim=1) * moved).sum(1)
        return found


def epochs(shards: list[Tensor], table: Interactions, watch: Stopwatch, seed: int) -> Iterator[Tensor]:
    """θ [R, K] after each epoch of training the attention on a table's retained rows, timed by the watch."""
    stacked = torch.stack(shards, dim=1)
    random = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        attention = Attention(stacked.shape[1], stacked.shape[2])
    optimiser = torch.optim.Adam(attention.parameters(), lr=_RATE)
    kept = np.flatnonzero(table.alive)
    user = torch.from_numpy(table.user[kept].astype(np.int64))
    item = torch.from_numpy(table.item[kept].astype(np.int64)) + table.users
    label = torch.from_numpy(table.label[kept])
    while True:
        with watch:
            for batch in torch.split(torch.randperm(len(label), generator=random), _BATCH):
                optimiser.zero_grad()
                score = attention(stacked[user[batch]], stacked[item[batch]])
                torch.autograd.backward(binary_cross_entropy_with_logits(score, label[batch]))
                optimiser.step()
        yield _applied(attention, stacked, table.users)


def _applied(attention: Attention, stacked: Tensor, users: int) -> Tensor:
    with torch.no_grad():
        sides = (attention.user, stacked[:users]), (attention.item, stacked[users:])
        return torch.cat(
            [attention.aggregated(part, weigh) for weigh, side in sides for part in torch.split(side, _CHUNK)]
        )
