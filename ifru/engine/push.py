"""Local push: block-Newton steps of single rows, those with most decrement per interaction first, each followed by the
exact change of its neighbours' gradient.

After the local push of personalised PageRank (Andersen, Chung and Lang 2006), on blocks of rows. A round is two
half-steps, users and then items. Rows of one side are not coupled, so a half-step is Gauss-Seidel and one batched
operation. What it costs depends on the tolerance and not on the size of the model.

Axes: T touched rows, S listed rows, K columns of a row.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ifru.engine.frontier import Frontier
from ifru.engine.state import State, incident
from ifru.engine.waiting import HEAVY, Waiting
from ifru.solvers.reason import Reason

_PATIENCE = 100
"""Half-steps in which the sum has to reach a new low. Where the penalty is small, block steps on rows far from their
optimum may overshoot, each time further."""


@dataclass(frozen=True)
class Budget:
    """What a push may spend: rows that it moves, interactions that it reads, milliseconds (None: no bound), rounds.

    The clock is read once a half-step; the other bounds are not exceeded.
    """

    rows: int | None = None
    interactions: int | None = None
    milliseconds: float | None = None
    rounds: int = 1000


UNBOUNDED = Budget()


@dataclass(frozen=True)
class Pushed:
    """rows [S], ascending: those that moved. left: the squared decrements' sum, as predicted; `State.settle` tells.

    waiting: the part of it that bounds what the steps of waiting rows pass on. iterations: half-steps.
    """

    rows: Tensor
    left: float
    waiting: float
    reason: Reason
    iterations: int
    interactions_read: int


@dataclass(frozen=True)
class _Step:
    """Block steps [S, K] of rows [S] of one side, ascending.

    decrement: what they take away. left: the sum of all afterwards, as predicted. cut: whether rows stayed behind for
    the budget.
    """

    rows: Tensor
    step: Tensor
    decrement: float
    left: float
    cut: bool


class Push:
    """Pushes on one state, and what they remember from one batch to the next."""

    def __init__(
        self, state: State, now: Callable[[], float], heavy: int = HEAVY, beat: Callable[[], None] = lambda: None
    ) -> None:
        """now: a clock, in seconds. heavy: a row of so many interactions may wait with its step.

        beat(): called at every half-step.
        """
        self.state, self.now, self.beat = state, now, beat
        self.frontier, self.waiting = Frontier(state), Waiting(state, heavy)
        # Scratch over all rows, clean between pushes.
        self.has_moved = torch.zeros_like(state.rows, dtype=torch.bool)

    def run(self, touched: Tensor, total: float, allowed: float, budget: Budget = UNBOUNDED) -> Pushed:
        """Push until the squared decrements sum to `allowed` at most, or the budget is spent.

        touched [T]: rows whose gradient the batch has changed, ascending. total: the sum before, of a settled state.
        What the last half-step and the waiting rows pass on waits for `State.settle`.
        """
        self.frontier.open(touched, total, allowed)
        return _Course(self, touched, allowed, budget).run()


class _Course:
    """One push on its way."""

    def __init__(self, push: Push, touched: Tensor, allowed: float, budget: Budget) -> None:
        self._state, self._frontier, self._waiting = push.state, push.frontier, push.waiting
        self._now, self._beat, self._has_moved = push.now, push.beat, push.has_moved
        self._touched, self._allowed, self._budget = touched, allowed, budget
        self._end = math.inf if budget.milliseconds is None else push.now() + budget.milliseconds / 1000
        self._halves = self._read = self._count = 0
        self._lowest, self._lowest_at = math.inf, 0
        # Where the rows were that this push moves, in the order in which they first did, the state notes from here on.
        self._first = len(push.state.origins)
        # Of what a side's last half-step took away, the share that came back in its neighbours.
        self._returned = [1.0, 1.0]

    def run(self) -> Pushed:
        """Rounds of half-steps, until one says why to stop."""
        for _ in range(self._budget.rounds):
            for side in (0, 1):
                if self._frontier.total <= self._allowed:
                    return self._finish(Reason.TOLERANCE, None)
                if self._stalls():
                    return self._finish(Reason.STALLED, None)
                step = self._step(side)
                if step is not None:
                    reason = self._last(step)
                    if reason is not None:
                        return self._finish(reason, step)
                    self._carry_out(side, step)
        return self._finish(Reason.ROUNDS, None)

    def _stalls(self) -> bool:
        """Whether the sum has not come down for long."""
        if self._frontier.total < self._lowest:
            self._lowest, self._lowest_at = self._frontier.total, self._halves
        return self._halves - self._lowest_at >= _PATIENCE

    def _step(self, side: int) -> _Step | None:
        """The step of a side's dense rows, of those that do not wait."""
        rows = self._frontier.dense(side)
        waits, bounds = self._waiting.hold(rows)
        if len(bounds):
            self._frontier.put(rows[waits], bounds)
            rows = rows[~waits]
        rows, cut = self._within_budget(rows)
        if len(rows) == 0 and not cut:
            return None
        self._halves += 1
        self._beat()
        step = self._block_step(rows)
        decrement = -float((step * self._state.point.gradient[rows]).sum())
        rest = self._frontier.total - float(self._state.decrements[rows].sum())
        return _Step(rows, step, decrement, rest + self._returned[side] * decrement, cut)

    def _within_budget(self, rows: Tensor) -> tuple[Tensor, bool]:
        """Rows [S] less the thinnest of those that would exceed the budget of rows; and whether there are such."""
        if self._budget.rows is None:
            return rows, False
        fresh = ~self._has_moved[rows]
        room = self._budget.rows - self._count
        if int(fresh.sum()) <= room:
            return rows, False
        density = self._state.decrements[rows] / self._state.objective.ridge[rows]
        density[~fresh] = math.inf
        kept = room + int((~fresh).sum())
        return rows[density.argsort(descending=True)[:kept]].sort().values, True

    def _block_step(self, rows: Tensor) -> Tensor:
        """−B_e⁻¹ g_e [S, K]; for rows whose blocks the cache has no room for, the best step along their diagonal's."""
        state = self._state
        preconditioner, gradient = state.preconditioner(rows), state.point.gradient[rows]
        step = -preconditioner.apply(gradient)
        fallback = preconditioner.fallback
        if fallback is not None:
            along = step[fallback.at]
            slope, curvature = (along * gradient[fallback.at]).sum(1), (along * fallback.products(step)).sum(1)
            length = torch.where(curvature > 0, -slope / curvature, 0)
            step[fallback.at] = length[:, None] * along
        return step

    def _last(self, step: _Step) -> Reason | None:
        """Why this half-step is the last one; None where it is not. Its effect on others may wait for the answer."""
        if step.left <= self._allowed:
            return Reason.TOLERANCE
        if step.cut:
            return Reason.ROWS
        if self._budget.interactions is not None:
            reads = round(incident(self._state.objective, step.rows))
            if self._read + reads > self._budget.interactions:
                return Reason.INTERACTIONS
        return Reason.MILLISECONDS if self._now() >= self._end else None

    def _carry_out(self, side: int, step: _Step) -> None:
        """Make a step, and the gradient of its rows and of all their neighbours exact."""
        state, rows = self._state, step.rows
        before, rest = state.point.theta[rows], step.left - self._returned[side] * step.decrement
        self._note(rows)
        state.point.theta[rows] += step.step
        changed = state.local.update_side(rows, before, self._waiting.heavy)
        self._read += changed.interactions_read
        state.read_since_exact += changed.interactions_read
        self._waiting.note(rows, changed.gains, changed.reached)
        self._frontier.moved(rows)
        self._frontier.activate(changed.reached, changed.penalised)
        self._returned[side] = max(self._frontier.total - rest, 0.0) / step.decrement if step.decrement > 0 else 1.0

    def _note(self, rows: Tensor) -> None:
        """Rows [S] are about to move: remember where those are that do so for the first time."""
        fresh = rows[~self._has_moved[rows]]
        self._state.origins.append((fresh, self._state.point.theta[fresh]))
        self._count += len(fresh)
        self._has_moved[fresh] = True

    def _finish(self, reason: Reason, last: _Step | None) -> Pushed:
        """Take the steps whose effect on others need not be known before the answer, and leave that to the state.

        These are the last half-step, the waiting rows', and one of all touched rows, whose blocks are at hand.
        """
        state, left = self._state, self._frontier.total if last is None else last.left
        rows = state.rows[:0] if last is None else last.rows
        self._note(rows)
        waiting = self._waiting.close()
        bound = float(state.decrements[waiting].sum())
        others = self._within_budget(torch.unique(torch.cat([waiting, self._touched])))[0]
        self._note(others)
        rows = torch.unique(torch.cat([rows, others]))
        changed = self._frontier.close()
        moved, before = (torch.cat(parts) for parts in zip(*state.origins[self._first :], strict=True))
        self._has_moved[moved] = False
        state.move(rows, self._block_step(rows), changed)
        state.add_staleness(moved, before)
        return Pushed(moved.sort().values, left, bound, reason, self._halves, self._read)
