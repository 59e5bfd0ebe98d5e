"""The curvature cache: inverses of diagonal blocks, built when they are first needed, kept up to date by down-dates.

Deleted interactions are taken out of the inverses that were built with them:

    P = B⁻¹    ⇒    (B − WᵀW − δI)⁻¹    for m deleted interactions with factors W [m, K], and δ = λ·m

The factors go by the Woodbury identity, which leaves P₁. In few interactions one of them can be most of what a block
knows of a direction, the one that its gradient then points in. The penalty is of full rank, but X = δP₁ is small, about
m/deg(e) at most, so that it may wait: (P₁⁻¹ − δI)⁻¹ = (I − X)⁻¹P₁ = … (I + X⁴)(I + X²)(I + X)P₁, where a factor more
doubles the digits.

Axes: R rows, S listed rows, C places in the cache, M interactions, Z deleted interactions of listed rows, D the most of
one row, K columns of a row.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ifru.curvature.factors import Factors, factor_counts, most_factors
from ifru.curvature.preconditioner import Blocks, Part, Preconditioner, diagonals, inverse_blocks, rows_by_gram
from ifru.curvature.shared import SharedCurvature
from ifru.interactions.table import Int64
from ifru.kernels import blocks as kernels
from ifru.kernels.dispatch import compiled
from ifru.objective import Linearised, Objective

STALENESS = 0.25
"""A block is rebuilt when so large a share of its inputs has moved since it was built; see `docs/engine.md`."""

EXACTNESS = 1e-4
"""A down-dated block may differ from a rebuilt one by this share: by rounding, and by how far its inputs had moved."""

_LARGEST_LOSS = 0.125
"""A row that lost a larger share of its interactions is rebuilt."""

_FREE = np.iinfo(np.int64).max
"""Tick of a place that nobody uses: it is never the one used longest ago."""

_CHUNK_BYTES = 1 << 26
"""Bound on the blocks that are built together."""


@dataclass
class Counters:
    """What was done, in rows.

    hits: served as held. misses: not held. rebuilds: held, but stale or past down-dating. down_dates: taken out of.
    evictions: pushed out by the budget. gram: of few factors, which are never held.
    """

    hits: int = 0
    misses: int = 0
    rebuilds: int = 0
    down_dates: int = 0
    evictions: int = 0
    gram: int = 0

    def __add__(self, other: Counters) -> Counters:
        return Counters(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))


class CurvatureCache:
    """B_e⁻¹ for as many rows as the budget holds; rows of few factors go through their Gram matrix, and hold nothing.

    A held block has traces of the interactions that it was built from. A deletion is taken out of it at once
    (`remove`): by a down-date, or by blanking the block until it is next needed and built anew. A down-date takes out
    what an interaction weighs now; where its inputs had moved since the block was built, that leaves a trace, and
    where the trace is too large, `finish_deletions` blanks the block. Moves add staleness; after some, it is rebuilt.
    """

    def __init__(self, objective: Objective, budget_bytes: int) -> None:
        table, rows, width = objective.interactions, len(objective.ridge), objective.layout.width
        self.counters = Counters()
        self._objective = objective
        self._budget_bytes = budget_bytes
        self._row_bytes = width * objective.ridge.element_size()
        self._block_bytes = width * self._row_bytes
        self._smallest = most_factors(width, objective.capabilities) + 1
        many = int((factor_counts(objective) >= self._smallest).sum())
        self.capacity = min(many, budget_bytes // self._block_bytes)
        self._blocks = torch.zeros((self.capacity, width, width), dtype=objective.dtype, device=objective.device)
        self._place: Int64 = np.full(rows, -1, dtype=np.int64)
        self._owner: Int64 = np.full(self.capacity, -1, dtype=np.int64)
        self._used: Int64 = np.full(self.capacity, _FREE)
        # A stack of free places, the first on top.
        self._free: Int64 = np.arange(self.capacity)[::-1].copy()
        self._free_count = self.capacity
        self._staleness = np.zeros(rows)
        self._error = np.zeros(rows)
        # λ times the deleted interactions whose penalty is still in a block; `finish_deletions` takes it out.
        self._penalty = np.zeros(rows)
        self._unfinished: list[Int64] = []
        self._tick = 0
        self._entities = table.users + table.items
        self._shared = SharedCurvature(objective, STALENESS, EXACTNESS) if objective.layout.shared else None

    def preconditioner(self, point: Linearised, rows: Tensor) -> Preconditioner:
        """M⁻¹ of rows [S], ascending and unique, shared ones all or none; blocks that are not held are built at θ.

        Where rows need more than the budget, the cache keeps what it has, and the others take their diagonals.
        """
        numbers = rows.cpu().numpy()
        at_hand = self._at_hand(numbers)
        if at_hand is not None:
            return at_hand
        whole, numbers = numbers, numbers[: int(numbers.searchsorted(self._entities))]
        counts = factor_counts(self._objective)[numbers]
        many, few = np.flatnonzero(counts >= self._smallest), np.flatnonzero(counts < self._smallest)
        few = few[np.cumsum(counts[few]) * self._row_bytes <= self._budget_bytes]
        self.counters.gram += len(few)
        self._hold(point, numbers[many])
        place = self._place[numbers[many]]
        held = many[place >= 0]
        parts: list[Part] = [Blocks.of(self._blocks, place[place >= 0], held)]
        parts += rows_by_gram(point, numbers[few], few)
        if self._shared and len(whole) > len(numbers):
            parts.append(self._shared.part(point, torch.arange(len(numbers), len(whole), device=rows.device)))
        if len(held) + len(few) == len(numbers):
            return Preconditioner(tuple(parts))
        left = np.setdiff1d(np.arange(len(numbers)), np.concatenate([held, few]), assume_unique=True)
        return Preconditioner(tuple(parts), diagonals(point, numbers[left], left))

    def _at_hand(self, numbers: Int64) -> Preconditioner | None:
        """M⁻¹ of rows [S] that are all held as they are needed, with the least effort; None where one is not."""
        place = self._place[numbers]
        if len(place) == 0 or place.min() < 0 or self._staleness[numbers].max() > STALENESS:
            return None
        self._tick += 1
        self.counters.hits += len(numbers)
        self._used[place] = self._tick
        return Preconditioner((Blocks.of(self._blocks, place, np.arange(len(place))),))

    def decrements(self, point: Linearised, rows: Tensor, debt: Tensor) -> Tensor:
        """r_e·B_e⁻¹ r_e [S], in float64, of the debt [S, K] of rows."""
        return self.preconditioner(point, rows).decrements(debt)

    def add_staleness(self, rows: Int64, share: NDArray[np.float64] | float, of_all: float = 0.0) -> None:
        """A share of the inputs of rows' blocks [S] has moved: one for all, or one each [S].

        of_all: the share of the whole θ that has, which is the input of the block of shared weights.
        """
        self._staleness[rows] += share
        if self._shared:
            self._shared.add_staleness(of_all)

    def remove(self, point: Linearised, interactions: Int64) -> None:
        """Take interactions [M] out of the blocks that hold them: already deleted, but the point still knows them."""
        table = self._objective.interactions
        if self._shared:
            self._shared.remove(interactions)
        if not self._objective.capabilities.own_blocks:
            self._rebuild_around(interactions)
            return
        sides = []
        for end, first in ((table.user[interactions], 0), (table.item[interactions], table.users)):
            order = np.argsort(end, kind="stable")
            order = order[self._place[end[order] + first] >= 0]
            sides.append((end[order] + np.int64(first), interactions[order]))
        rows, lost = np.unique(np.concatenate([sides[0][0], sides[1][0]]), return_counts=True)
        left = table.degree[rows]
        share = lost / (left + lost)
        sound = (left >= self._smallest) & (share <= _LARGEST_LOSS) & (self._staleness[rows] <= STALENESS)
        self._error[rows] += self._staleness[rows] * share
        self._blank(rows[~sound])
        self._vacate(rows[left < self._smallest])
        listed = [some[sound[np.searchsorted(rows, ends)]] for ends, some in sides]
        factors = point.factors(listed[0], listed[1])
        self._down_date(rows[sound], Factors(factors, np.concatenate([[0], np.cumsum(lost[sound])])))

    def _rebuild_around(self, interactions: Int64) -> None:
        """Blank the blocks of the ends of deleted interactions [M], and all that see a row which has nothing left."""
        table = self._objective.interactions
        blank = np.zeros(len(self._place), dtype=bool)
        for end, others in (
            (table.user[interactions], slice(table.users, None)),
            (table.incidence.far[interactions], slice(0, table.users)),
        ):
            blank[end] = True
            blank[others] |= bool((table.degree[end] == 0).any())
        rows = np.flatnonzero(blank & (self._place >= 0))
        self._blank(rows)
        self._vacate(rows[table.degree[rows] == 0])

    def discard(self, rows: Int64) -> None:
        """Leave nothing in the blocks of rows [S], held or not: they have lost what no down-date takes out."""
        self._blank(rows[self._place[rows] >= 0])

    def clear(self) -> None:
        """Hold nothing any more, as in the beginning; the counters go on."""
        self._vacate(self._owner[self._owner >= 0])
        self._blocks.zero_()
        if self._shared:
            self._shared.clear()
        self._unfinished.clear()
        for each in (self._staleness, self._error, self._penalty):
            each[:] = 0

    def finish_deletions(self) -> None:
        """Finish down-dates, and blank the blocks that are not exact even then. A local answer does not wait for it."""
        for rows in self._unfinished:
            waiting = rows[(self._place[rows] >= 0) & (self._penalty[rows] > 0)]
            penalty, error = (torch.from_numpy(each[waiting]).to(self._blocks) for each in (self._penalty, self._error))
            error = lower_penalty(self._blocks, self._place[waiting], penalty, error)
            self._error[waiting], self._penalty[waiting] = error.cpu().numpy(), 0
            self._blank(waiting[self._error[waiting] > EXACTNESS])
        self._unfinished.clear()
        if self._shared:
            self._shared.finish_deletions()

    def _down_date(self, rows: Int64, factors: Factors) -> None:
        error = torch.from_numpy(self._error[rows]).to(self._blocks)
        self._error[rows] = take_out(self._blocks, self._place[rows], factors, error).cpu().numpy()
        self._penalty[rows] = self._objective.l2 * factors.degrees
        sound = np.isfinite(self._error[rows])
        self.counters.down_dates += int(sound.sum())
        self._blank(rows[~sound])
        self._unfinished.append(rows[sound])

    def _hold(self, point: Linearised, numbers: Int64) -> None:
        """Hold the blocks of rows [S]: of all where the budget allows, else of as many as there is room for."""
        self._tick += 1
        known = self._place[numbers] >= 0
        old, missing = numbers[known], numbers[~known]
        stale = old[self._staleness[old] > STALENESS]
        self.counters.hits += len(old) - len(stale)
        self.counters.rebuilds += len(stale)
        self.counters.misses += len(missing)
        self._used[self._place[old]] = self._tick
        if len(missing) > self._free_count and len(numbers) <= self.capacity:
            self._evict(len(missing) - self._free_count)
        missing = missing[: self._free_count]
        self._free_count -= len(missing)
        places = self._free[self._free_count : self._free_count + len(missing)][::-1]
        self._place[missing], self._owner[places], self._used[places] = places, missing, self._tick
        # Nothing is there yet, should building it fail.
        self._staleness[missing] = np.inf
        if len(missing) + len(stale) > 0:
            self._build(point, np.union1d(missing, stale))

    def _build(self, point: Linearised, rows: Int64) -> None:
        device = self._blocks.device
        for some in torch.split(torch.from_numpy(rows), max(_CHUNK_BYTES // self._block_bytes, 1)):
            fresh = inverse_blocks(point, some.to(device))
            self._blocks[torch.from_numpy(self._place[some.numpy()]).to(device)] = fresh
        self._staleness[rows] = self._error[rows] = self._penalty[rows] = 0

    def _evict(self, count: int) -> None:
        """Free the places of the rows that were used longest ago."""
        places = np.argsort(self._used, kind="stable")[:count]
        self.counters.evictions += count
        self._vacate(self._owner[np.sort(places)])

    def _blank(self, rows: Int64) -> None:
        """Leave nothing in the blocks of held rows; they are built anew when they are next needed."""
        self._blocks[torch.from_numpy(self._place[rows]).to(self._blocks.device)] = 0
        self._staleness[rows], self._penalty[rows] = np.inf, 0

    def _vacate(self, rows: Int64) -> None:
        """Give up the places of held rows."""
        places = self._place[rows]
        self._place[rows], self._owner[places], self._used[places] = -1, -1, _FREE
        self._free[self._free_count : self._free_count + len(rows)] = places[::-1]
        self._free_count += len(rows)


_LEAST_DETERMINANT = 0.1
"""Of I − WPWᵀ. Below it so little of the block is left in some direction that its inverse loses digits."""

_LARGEST_RATIO = 0.25
"""Of ‖X‖, by ‖P‖² ≤ ‖P²‖_F. Above it the factors of the series cost as much as building the block anew."""


def take_out(inverses: Tensor, place: Int64, factors: Factors, error: Tensor) -> Tensor:
    """Take W [Z, K] out of inverses place [S] of [C, K, K], in place: the part of an interaction that a step feels.

    error [S]: the relative error of each so far; returns what it is now. Infinite: the block has to be built anew.
    """
    determinant, size = (taken_out if compiled(inverses.device) else taken_out_by_torch)(inverses, place, factors)
    rounding = _rounding(inverses)
    # An error E of P puts w·Ew into a determinant, which is as large as E is beside P where ‖w‖²‖P‖ is 1.
    weight = size.new_zeros(len(size)).index_add_(0, factors.owner, factors.values.square().sum(1))
    grown = (error + rounding) * (1 + weight * size) / determinant.square()
    return torch.where(determinant >= _LEAST_DETERMINANT, grown, torch.inf)


def taken_out(inverses: Tensor, place: Int64, factors: Factors) -> tuple[Tensor, Tensor]:
    """P <- (P⁻¹ − WᵀW)⁻¹ of listed ones; det(I − WPWᵀ) [S], zero where that is not positive definite; ‖P‖_F [S]."""
    determinant, size = inverses.new_empty(len(place)), inverses.new_empty(len(place))
    stack = inverses.numpy().reshape(-1, inverses.shape[2])
    kernels.take_out(stack, place, factors.values.numpy(), factors.start, determinant.numpy(), size.numpy())
    return determinant, size


def taken_out_by_torch(inverses: Tensor, place: Int64, factors: Factors) -> tuple[Tensor, Tensor]:
    """`taken_out` by torch operators, on factors padded to [S, D, K]."""
    listed = torch.from_numpy(place).to(inverses.device)
    some = inverses[listed]
    padded = factors.padded(np.arange(len(some)))[0]
    solved = padded @ some
    left = torch.eye(padded.shape[1], dtype=some.dtype, device=some.device) - solved @ padded.mT
    lower, failed = torch.linalg.cholesky_ex(left)
    half = torch.linalg.solve_triangular(lower, solved, upper=False)
    some += half.mT @ half
    inverses[listed] = some
    determinant = torch.where(failed == 0, lower.diagonal(dim1=1, dim2=2).prod(1).square(), 0)
    return determinant, torch.linalg.vector_norm(some, dim=(1, 2))


def lower_penalty(inverses: Tensor, place: Int64, penalty: Tensor, error: Tensor) -> Tensor:
    """Take δ = penalty [S] out of inverses place [S] of [C, K, K], in place; error [S] as in `take_out`."""
    lowered = penalty_lowered if compiled(inverses.device) else penalty_lowered_by_torch
    ratio, dropped = lowered(inverses, place, penalty)
    sound, ratio = ratio <= _LARGEST_RATIO, ratio.clamp(max=_LARGEST_RATIO)
    return torch.where(sound, (error + _rounding(inverses)) / (1 - ratio).square() + dropped, torch.inf)


def penalty_lowered(inverses: Tensor, place: Int64, penalty: Tensor) -> tuple[Tensor, Tensor]:
    """P <- (P⁻¹ − δI)⁻¹ of listed ones; a bound [S] on ‖δP‖, where it is not too large, and what is left out [S]."""
    ratio, dropped = torch.empty_like(penalty), torch.empty_like(penalty)
    stack, bounds = inverses.numpy().reshape(-1, inverses.shape[2]), (_LARGEST_RATIO, _rounding(inverses))
    kernels.lower_penalty(stack, place, penalty.numpy(), *bounds, ratio.numpy(), dropped.numpy())
    return ratio, dropped


def penalty_lowered_by_torch(inverses: Tensor, place: Int64, penalty: Tensor) -> tuple[Tensor, Tensor]:
    """`penalty_lowered` by torch operators."""
    listed = torch.from_numpy(place).to(inverses.device)
    some, shift = inverses[listed], penalty[:, None, None]
    square = torch.bmm(some, some)
    ratio = penalty * torch.linalg.vector_norm(square, dim=(1, 2)).sqrt()
    sound = ratio <= _LARGEST_RATIO
    rounding, dropped = _rounding(inverses), torch.where(sound, ratio.square(), 0)
    lowered = torch.addcmul(some, square, shift)
    power = square.mul_(shift.square())
    while bool((dropped > rounding).any()):
        lowered += torch.bmm(power, lowered)
        dropped = dropped.square()
        if bool((dropped > rounding).any()):
            power = torch.bmm(power, power)
    inverses[listed] = torch.where(sound[:, None, None], lowered, some)
    return ratio, dropped


def _rounding(inverses: Tensor) -> float:
    return 4 * torch.finfo(inverses.dtype).eps
