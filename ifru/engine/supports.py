"""Pruning: which rows an update moves, what each way to do so would cost, and the solve on them.

*residual*: the rows of highest decrement per interaction, now or once the first of them have moved.

*k_hop*: IFRU's importance. Zhang et al., *Recommendation Unlearning via Influence Function* (arXiv 2307.02147), section
on importance-based pruning, and the authors' code. The importance of a row is the share of its interactions that is
deleted, spread along the interactions k times:

    m₀ = removed/degree        m ← D⁻¹ A m        D: row sums of A

A is the adjacency of users and items before the deletion, with one loop at every row. The rows of highest importance
are kept. Their own step rule is not followed: they are solved for as any support is.

*Solve*: H_SS Δ_S = −g_S, or Newton steps on all rows. *Work* is counted in interactions read by one product with the
Hessian; a row of K columns then costs K/3 to precondition. The rates were measured on MovieLens 100K and 1M, two
cores; see `docs/engine.md`.

Axes: R rows of θ (users first), S rows of a support, T seeds, V rows that these reach, M deleted interactions, K
columns of a row.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ifru.engine.rounding import LOOSE_SHARE, SHARE, Grid
from ifru.engine.settings import EngineSettings
from ifru.engine.state import State, incident
from ifru.interactions import Interactions
from ifru.interactions.table import Int64
from ifru.kernels import frontier as kernels
from ifru.kernels.dispatch import compiled
from ifru.solvers.pcg import Limits, Solution, never, solve
from ifru.solvers.reason import Reason
from ifru.solvers.trust_region import LOOSE, descend

CARRIED = 0.25
"""Share of the allowed decrement that rows out of reach may keep without being looked at."""

_BINS_PER_OCTAVE = 4
_OCTAVES = 64
"""Decrements per interaction are told apart to a quarter of an octave, and below 2⁻⁶⁴ of the highest not at all."""

RADIUS = 2.0
"""Bound on a step, in lengths of the plain block step. Useful steps have 1.1 to 2 such lengths. On all rows the bound
moves with what steps gain. A solve on a support cannot see rows outside, so nothing else limits its step."""

_AIM, _LOOSE_AIM = math.sqrt(0.6**2 - SHARE**2), math.sqrt(0.9**2 - LOOSE_SHARE**2)
"""Shares of the tolerance that solves aim at: the rest is for rounding, and for what they do not see. A loose one sees
all but the second order, which is little beside what it may leave."""

_EXACTEST = 0.01
"""No linear solve aims lower than this share of its right-hand side: re-linearising is worth more."""

TINY = torch.finfo(torch.float64).tiny


@dataclass(frozen=True)
class Support:
    """rows [S], ascending. outside: sum of the squared decrements that the other rows will keep.

    interactions_read: interactions visited in order to choose.
    """

    rows: Tensor
    outside: float
    interactions_read: int


class Supports:
    """Ways to choose the rows of an update on a state."""

    def __init__(self, state: State, settings: EngineSettings) -> None:
        self._state, self._settings = state, settings

    def residual(self, seeds: Tensor, allowed: float) -> Support:
        """The smallest support, by decrement per interaction, whose outside keeps `allowed` at most.

        Of the seeds [T], ascending, those that must move in any case take one block-Newton step, and what it adds to
        the gradient of the rows that they reach decides. The others may all stay behind together: rows of high degree
        and low predicted decrease are skipped.
        """
        state, decrements, ridge = self._state, self._state.decrements, self._state.objective.ridge
        leading = seeds[densest(decrements[seeds], ridge[seeds], allowed)]
        gradient = state.point.gradient
        step = -state.preconditioner(leading).apply(gradient[leading])
        near, added, read = state.local.gradient_along(leading, step)
        known = torch.unique(torch.cat([near, seeds]))
        beyond = state.total_decrement - float(decrements[known].sum())
        if beyond > CARRIED * allowed:
            known, beyond = state.rows, 0.0
        # The penalty alone underrates a block; by how much, the leading rows tell, whose blocks are at hand.
        shortfall = _shortfall(ridge[leading], gradient[leading], step)
        by_penalty = (gradient[near] + added).square().sum(1) / ridge[near]
        estimate = decrements[known]
        estimate[torch.searchsorted(known, near)] = shortfall * by_penalty.double()
        led = torch.searchsorted(known, leading)
        estimate[led] = 0
        inside = torch.zeros_like(known, dtype=torch.bool)
        inside[densest(estimate, ridge[known], max(allowed - beyond, 0.0))] = True
        inside[led] = True
        return Support(known[inside], beyond + float(estimate[~inside].sum()), read)

    def k_hop(self, deleted: Int64) -> Support:
        """The most important rows around interactions [M]; see `most_important`."""
        state, settings = self._state, self._settings
        chosen = most_important(state.objective.interactions, deleted, settings.k_hop_hops, settings.k_hop_share)
        rows = torch.from_numpy(chosen).to(state.rows.device)
        return Support(rows, max(state.total_decrement - float(state.decrements[rows].sum()), 0.0), 0)


def _shortfall(ridge: Tensor, gradient: Tensor, step: Tensor) -> float:
    """Squared decrements of rows by their blocks, over those by the penalty alone; 1 where the gradient is zero."""
    by_penalty = float((gradient.square().sum(1) / ridge).sum())
    return -float((gradient * step).sum()) / by_penalty if by_penalty > 0 else 1.0


def densest(decrements: Tensor, ridge: Tensor, allowed: float) -> Tensor:
    """Rows, ascending, of highest decrement [S] per interaction, so many that the others keep `allowed` at most.

    decrements [S] in float64; ridge [S], in proportion to the interactions.
    """
    candidates, others = _above(decrements, ridge, allowed)
    some = decrements[candidates]
    allowed -= others
    if len(some) == 0 or float(some.sum()) <= allowed:
        return candidates[:0]
    density = some / ridge[candidates].clamp(min=torch.finfo(ridge.dtype).tiny)
    lowest_bin = _BINS_PER_OCTAVE * _OCTAVES
    below = (_BINS_PER_OCTAVE * (math.log2(float(density.max())) - density.log2())).clamp(0, lowest_bin).long()
    held = torch.bincount(below, weights=some, minlength=lowest_bin + 1)
    outside = held.sum() - held.cumsum(0)
    return candidates[below <= int((outside > allowed).sum())]


def carrying(state: State, touched: Tensor, allowed: float) -> Tensor:
    """Rows [S], ascending, other than the touched ones [T], that a push to `allowed` starts with too.

    These carry much, where all others together carry more than may be left unseen.
    """
    decrements = state.decrements
    if state.total_decrement - float(decrements[touched].sum()) <= CARRIED * allowed:
        return state.rows[:0]
    rows = densest(decrements, state.objective.ridge, CARRIED * allowed)
    return rows[~torch.isin(rows, touched)]


def _above(decrements: Tensor, ridge: Tensor, allowed: float) -> tuple[Tensor, float]:
    """Rows, ascending, above the mean decrement per interaction that is allowed, and the sum of all others.

    That sum is less than what is allowed. Most rows are among these, and need no closer look.
    """
    if compiled(decrements.device):
        out = torch.empty(len(decrements), dtype=torch.int64)
        found, others = kernels.above(decrements.numpy(), ridge.numpy(), allowed, out.numpy())
        return out[:found], others
    dense = decrements > allowed / ridge.sum(dtype=torch.float64).clamp(min=TINY) * ridge
    return dense.nonzero()[:, 0], float(decrements[~dense].sum())


def importance(table: Interactions, deleted: Int64, hops: int) -> NDArray[np.float64]:
    """m [R] after some hops. deleted [M]: positions, already deleted, that count as if they were there."""
    rows, far = len(table.degree), table.incidence.far
    removed = np.bincount(np.concatenate([table.user[deleted], far[deleted]]), minlength=rows)
    degree = table.degree + removed + 1
    there = table.alive.copy()
    there[deleted] = True
    mass: NDArray[np.float64] = removed / degree
    for _ in range(hops):
        found = np.unique(table.incidence.of(np.flatnonzero(mass)))
        found = found[there[found]]
        user, item = table.user[found], far[found]
        spread = mass + np.bincount(item, weights=mass[user], minlength=rows)
        spread += np.bincount(user, weights=mass[item], minlength=rows)
        mass = spread / degree
    return mass


def most_important(table: Interactions, deleted: Int64, hops: int, share: float) -> Int64:
    """Rows [S], ascending, of the top share, in (0, 1], of importance among the rows that the hops reach.

    Rows that have no interactions left are not among them. Of equally important rows the first go first.
    """
    mass = importance(table, deleted, hops)
    mass[table.degree == 0] = 0
    reached = np.flatnonzero(mass)
    kept = math.ceil(share * len(reached))
    rows: Int64 = np.sort(reached[np.argsort(-mass[reached], kind="stable")[:kept]])
    return rows


@dataclass(frozen=True)
class Solve:
    """A step [S, K], how it was found, and the interactions read for it.

    left: root of the squared decrements that it leaves on the support, as the solve sees it.
    """

    solution: Solution
    left: float
    interactions_read: int


def on_support(
    state: State, rows: Tensor, limits: Limits, damping: float = 0.0, stop: Callable[[], bool] = never
) -> Solve:
    """Solve on rows [S], ascending. damping: multiple of the diagonal blocks B that is added to H_SS. stop(): asked
    once an iteration.

    Where scores depend on their own two rows, interactions with both ends in the support are all that couples its rows,
    so that neither the size of the data nor the degree of a popular item enters the cost.
    """
    preconditioner, gradient = state.preconditioner(rows), state.point.gradient[rows]
    coupling = state.local.coupling(rows) if state.objective.capabilities.row_local else None

    def product(x: Tensor, in_metric: Tensor) -> Tensor:
        blocks = preconditioner.blocks_times(x, in_metric)
        if coupling is None:
            return _whole_product(state, rows, x) + damping * blocks
        return (1 + damping) * blocks + coupling.product(x)

    solution = solve(product, preconditioner.apply, -gradient, limits, stop)
    left = solution.residual_norm
    if damping > 0:
        # The residual is that of the damped system: it lacks damping·Bx, which the system itself gives.
        if coupling is None:
            undamped = -gradient - _whole_product(state, rows, solution.x)
        else:
            blocks = -(gradient + coupling.product(solution.x) + solution.residual) / (1 + damping)
            undamped = solution.residual + damping * blocks
        left = math.sqrt(max(float(preconditioner.decrements(undamped).sum()), 0.0))
    read = state.objective.interactions.retained if coupling is None else coupling.interactions
    return Solve(solution, left, read * (1 + solution.iterations))


def _whole_product(state: State, rows: Tensor, x: Tensor) -> Tensor:
    """H_SS x [S, K] of x [S, K], by a product with the whole Hessian."""
    whole = torch.zeros_like(state.point.theta)
    whole[rows] = x
    return state.point.product(whole)[rows]


def on_all_rows(
    state: State,
    settings: EngineSettings,
    batch: float,
    tolerance: float,
    grid: Grid | None,
    stop: Callable[[], bool],
) -> tuple[Reason, int]:
    """Newton steps, on a grid if there is one, until the norm of the debt is at most `tolerance` of that of the batch.

    Where they leave more than there was, nothing moves: they go down by L, and may be stopped where g has risen.
    Returns why they ended, and the products with the Hessian.
    """
    aim = tolerance * (_LOOSE_AIM if tolerance > LOOSE else _AIM)

    def limits(norm: float, _: float) -> Limits | None:
        if norm <= tolerance * batch:
            return None
        return Limits(max(aim * batch / norm, _EXACTEST), settings.products)

    # Elimination solves with the blocks themselves: the deleted penalties must have left them.
    if aim < LOOSE:
        state.cache.finish_deletions()
    start, rounded = state.settled_point(), None if grid is None else grid.rounded
    descent = descend(start, state.metric, limits, settings.steps, stop, radius=RADIUS, rounded=rounded)
    if descent.norm <= math.sqrt(state.total_decrement):
        state.arrive(descent)
    return Reason.TOLERANCE if descent.reason is Reason.STATIONARY else descent.reason, descent.products


_ADVANCED = 3.0
"""Reading an interaction at the end of a step on all rows: its loss derivatives, and their part of the gradient."""

_SETTLED = 8.0
"""Reading an interaction of moved rows, which lie scattered, with the blocks that are built anew for it."""

_PUSHED = 8.0
"""The same in a push, which is settled only once."""

_PUSHES = 0.01
"""A push to a tolerance t reads the interactions of the touched rows about 0.01/t³ times, and those of the others that
it starts with, whose gradient is left from earlier batches, about once."""

_COUPLED = 1.5
"""Reading an interaction inside a support, whose rows lie scattered."""

_CALL = 1e6
"""Fixed overhead of one step of a push, or of one solve, in interactions × columns."""


def of_all_rows(state: State, tolerance: float) -> float:
    """Newton-PCG on all rows, settled. With one side eliminated it takes half as many products, and one more."""
    retained = state.objective.interactions.retained
    rows = len(state.rows) * _per_row(state)
    products = 1 + _iterations(tolerance) / 2
    return _set_up(state) + products * (retained + rows) + _ADVANCED * retained + rows


def of_support(state: State, rows: Tensor, tolerance: float) -> float:
    """PCG on a support [S], ascending, settled; what is inside is estimated as if interactions were random."""
    retained = state.objective.interactions.retained
    users = rows[rows < state.objective.interactions.users]
    of_users = incident(state.objective, users)
    of_all = incident(state.objective, rows)
    inside = of_users * (of_all - of_users) / max(retained, 1)
    once = _COUPLED * inside + len(rows) * _per_row(state)
    return _set_up(state) + of_users + _iterations(tolerance) * once + _settling(state, of_all)


def of_push(state: State, touched: Tensor, allowed: float, tolerance: float) -> float:
    """A push from touched rows [T], settled, until the squared decrements sum to `allowed`."""
    start = incident(state.objective, touched)
    others = incident(state.objective, carrying(state, touched, allowed))
    half_steps = 2 * _iterations(tolerance)
    read = _PUSHES * start / tolerance**3 + others
    return half_steps * _set_up(state) + _PUSHED * read + _settling(state, start + others)


def _settling(state: State, interactions: float) -> float:
    return _SETTLED * interactions + min(interactions, len(state.rows)) * _per_row(state)


def _iterations(tolerance: float) -> float:
    """Of PCG with these preconditioners, to a tolerance."""
    return 2 / math.sqrt(tolerance)


def _per_row(state: State) -> float:
    return state.point.theta.shape[1] / 3


def _set_up(state: State) -> float:
    return _CALL / state.point.theta.shape[1]
