"""Rows passed along interactions: Z = Pθ, P = 1/(L + 1)·Σ_{l=0..L} Âˡ, Â = D^-½AD^-½ (LightGCN, He et al. 2020).

A counts the edges between two rows, D those of a row. P is its own transpose; a row without edges keeps 1/(L + 1) of
itself.

Axes: N interactions, M listed ones, E edges, R rows (users first, then items), S listed rows, K columns of a row.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numba import get_num_threads
from torch import Tensor

from ifru.interactions import Interactions
from ifru.interactions.table import Bool, Int64
from ifru.kernels import propagation as kernels
from ifru.kernels.dispatch import is_long

Edges = Literal["positives", "all"]
"""Which retained interactions are edges: those recorded with a label above ½, or all recorded ones. Negatives that were
sampled never are."""

_POSITIVE = 0.5
"""A label above this one is a positive."""

_CHUNK = 1 << 18
"""Edges at a time: bounds the memory that gathered rows take."""


def edges_of(interactions: Interactions, edges: Edges) -> Bool:
    """[N]: which interactions are edges while they are retained."""
    recorded = interactions.recorded
    return recorded if edges == "all" else recorded & (interactions.label > _POSITIVE)


class Graph:
    """The edges of a table and P on them by torch operators, on any device: what compiled loops are held against."""

    def __init__(
        self, interactions: Interactions, edges: Edges, layers: int, device: torch.device, dtype: torch.dtype
    ) -> None:
        """layers: L, at least 1."""
        self.interactions, self.layers, self.device, self.dtype = interactions, layers, device, dtype
        self.edges: Edges = edges
        self.is_edge = edges_of(interactions, edges)
        self._connect()

    def propagate(self, x: Tensor, rows: Tensor | None = None) -> Tensor:
        """Px [R, K] of x [R, K], or listed rows of it [S, K]."""
        out = x
        for _ in range(self.layers):
            carried, out = out, x.clone()
            for user, item in zip(torch.split(self._user, _CHUNK), torch.split(self._item, _CHUNK), strict=True):
                scale = (self._scale[user] * self._scale[item])[:, None]
                out.index_add_(0, user, scale * carried[item])
                out.index_add_(0, item, scale * carried[user])
        out = out / (self.layers + 1)
        return out if rows is None else out[rows]

    def reach(self, rows: Tensor) -> Tensor:
        """Rows, ascending, within L hops of rows [S]; all rows where more than half of the edges' ends are theirs."""
        seen = torch.zeros(len(self._scale), dtype=torch.bool, device=self.device)
        seen[rows] = True
        for _ in range(self.layers):
            from_users, from_items = seen[self._user], seen[self._item]
            seen[self._item[from_users]] = True
            seen[self._user[from_items]] = True
        if int(seen[self._user].sum() + seen[self._item].sum()) > len(self._user):
            seen[:] = True
        return seen.nonzero()[:, 0]

    def ends(self, interactions: Int64) -> Tensor:
        """Rows, ascending, that those of interactions [M] connect that are edges."""
        table, edges = self.interactions, interactions[self.is_edge[interactions]]
        rows = np.union1d(table.user[edges], table.item[edges].astype(np.int64) + table.users)
        return torch.from_numpy(rows.astype(np.int64)).to(self.device)

    def remove(self, interactions: Int64) -> None:
        """Take out interactions [M] that have just been deleted from the table."""
        self._connect()

    def relabel(self) -> bool:
        """Take the edges anew by the labels that the table has now; returns whether there are others."""
        before, self.is_edge = self.is_edge, edges_of(self.interactions, self.edges)
        other = bool((before != self.is_edge).any())
        if other:
            self._connect()
        return other

    def _connect(self) -> None:
        table = self.interactions
        edges = self.is_edge & table.alive
        user, item = (torch.from_numpy(end[edges]).to(self.device, torch.int64) for end in (table.user, table.item))
        self._user, self._item = user, item + table.users
        degree = torch.bincount(torch.cat([self._user, self._item]), minlength=table.users + table.items)
        self._scale = torch.where(degree > 0, degree.clamp(min=1).to(self.dtype).rsqrt(), 0)


class CompiledGraph(Graph):
    """`Graph` by compiled loops, on the CPU. A row's neighbours lie together, ascending."""

    def __init__(self, interactions: Interactions, edges: Edges, layers: int, dtype: torch.dtype) -> None:
        super().__init__(interactions, edges, layers, torch.device("cpu"), dtype)

    def propagate(self, x: Tensor, rows: Tensor | None = None) -> Tensor:
        ball = None if rows is None else self._ball(rows, self.layers - 1)
        listed, counts = (self._rows, [len(self._rows)] * self.layers) if ball is None else ball
        lists = self._start, self._degree, self._far, self._scale.numpy()
        carried = x = x.contiguous()
        for layer in reversed(range(self.layers)):
            # What is passed on later is needed within fewer hops.
            some, out = listed[: counts[layer]], torch.empty_like(x)
            cuts = self._cuts if ball is None else self._cuts_of(some, x.shape[1])
            share = self._scale.numpy().dtype.type(1 if layer > 0 else 1 / (self.layers + 1))
            kernels.layer(some, cuts, *lists, x.numpy(), carried.numpy(), share, out.numpy())
            carried = out
        return carried if rows is None else carried[rows]

    def reach(self, rows: Tensor) -> Tensor:
        ball = self._ball(rows, self.layers)
        return torch.from_numpy(self._rows if ball is None else np.sort(ball[0]))

    def remove(self, interactions: Int64) -> None:
        table, edges = self.interactions, interactions[self.is_edge[interactions]]
        user, item = table.user[edges].astype(np.int64), table.item[edges].astype(np.int64) + table.users
        for rows, others in ((user, item), (item, user)):
            kernels.drop(self._start, self._degree, self._far, rows, others)
        self._rescale(np.union1d(user, item))

    def _connect(self) -> None:
        table = self.interactions
        edges = self.is_edge & table.alive
        self._far = table.incidence.far[edges[table.incidence.order]]
        self._degree = np.bincount(self._far, minlength=len(table.degree)).astype(np.int64)
        self._start = np.cumsum(self._degree) - self._degree
        self._rows = np.arange(len(self._degree))
        self._cuts = _cuts(self._degree, get_num_threads())
        self._scale = torch.zeros(len(self._degree), dtype=self.dtype)
        self._rescale(self._rows)

    def _rescale(self, rows: Int64) -> None:
        """D^-½ of rows [S], whose degrees have changed; zero where a row has no edges."""
        degree = torch.from_numpy(self._degree[rows]).to(self.dtype)
        self._scale[torch.from_numpy(rows)] = torch.where(degree > 0, degree.rsqrt(), 0)

    def _ball(self, rows: Tensor, hops: int) -> tuple[Int64, Int64] | None:
        """Rows [S] and then those within so many hops of them, and how many there are after each hop [hops + 1].

        None where more than half of the edges' ends are theirs.
        """
        listed, counts = np.empty(len(self._degree), dtype=np.int64), np.empty(hops + 1, dtype=np.int64)
        seen = np.zeros(len(self._degree), dtype=np.bool_)
        listed[: len(rows)], counts[0] = rows.numpy(), len(rows)
        seen[listed[: len(rows)]] = True
        most = int(self._degree.sum()) // 2
        inside = kernels.reach(self._start, self._degree, self._far, most, listed, counts, seen)
        return (listed[: counts[-1]], counts) if inside else None

    def _cuts_of(self, rows: Int64, width: int) -> Int64:
        degree = self._degree[rows]
        return _cuts(degree, get_num_threads() if is_long(int(degree.sum()) * width) else 1)


def _cuts(degree: Int64, parts: int) -> Int64:
    """Places [C + 1] among rows [S] where C parts of about as much work each begin, and the end."""
    work = np.concatenate([[0], np.cumsum(degree + 1)])
    shares = np.arange(1, parts) * int(work[-1]) // parts
    return np.concatenate([[0], np.searchsorted(work, shares), [len(degree)]]).astype(np.int64)
