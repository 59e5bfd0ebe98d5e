"""The influence engine: it keeps the debt, and pays it off where it matters.

    debt      r = ∇L(θ; retained data), exact and current, for every row
    deletion  adds to the debt of the rows it touches
    update    moves the rows of a support, and with them the debt of those rows and their neighbours
    what is left is measured, published and carried to the next batch; nothing is dropped

Axes: R = U + I rows (users first), S rows of a support, T touched rows, K columns of a row.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ifru.curvature.cache import Counters, CurvatureCache
from ifru.engine.choice import of_all_rows, of_push, of_support
from ifru.engine.densest import densest
from ifru.engine.k_hop import k_hop
from ifru.engine.push import Budget, Push
from ifru.engine.residual import Support, choose
from ifru.engine.settings import EngineSettings
from ifru.engine.solve import on_support
from ifru.engine.state import Removal, State, incident
from ifru.engine.stopwatch import Stopwatch
from ifru.engine.update import NOTHING_CARRIED, Carried, Settled, Update
from ifru.interactions import Dataset, Deletion
from ifru.interactions.table import Int64
from ifru.models import ModelConfig, model_of
from ifru.objective.parameters import Parameters
from ifru.solvers.pcg import Limits, Reason, never
from ifru.solvers.trust_region import LOOSE, descend

_ROUNDS = 2
"""Local answers that are tried before all rows are."""

_AIM = 0.7
"""Share of the tolerance that an answer is predicted to leave: the rest is for what it sets off and does not see."""

_EACH = _AIM / math.sqrt(2)
"""Where two things leave something, a support and the solve on it, each may leave so much."""

_REACH = 2.0
"""Bound on a step, in lengths of the plain block step; on all rows it moves with what steps gain. Useful steps have 1.1
to 2 such lengths. Longer ones are refused on all rows, after many products. On a support nobody checks before they are
published, and they turn its rows against all others, which costs it nothing."""

_EXACTEST = 0.01
"""No linear solve aims lower than this share of its right-hand side: re-linearising on the debt is worth more."""


@dataclass(frozen=True)
class _Answer:
    """How an update came about: the rows [S] that it moved; see `Update` for the other fields."""

    moved: Tensor
    method: str
    reason: str
    influence: float
    iterations: int
    interactions_read: int

    def then(self, other: _Answer) -> _Answer:
        """This answer, followed by another one."""
        moved = torch.unique(torch.cat([self.moved, other.moved]))
        iterations = self.iterations + other.iterations
        return replace(
            other,
            moved=moved,
            iterations=iterations,
            interactions_read=self.interactions_read + other.interactions_read,
        )


class Engine:
    """One model, its data, and the debt between them. Owned by one thread.

    `apply` answers a batch, `settle` makes the debt exact after the answer is out, `refine` pays it off in idle time.
    The data set is the engine's own: `apply` deletes from it.
    """

    def __init__(
        self,
        config: ModelConfig,
        tables: Parameters,
        dataset: Dataset,
        settings: EngineSettings,
        device: torch.device | str = "cpu",
        carried: Carried = NOTHING_CARRIED,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        """tables: a stationary point, or what an engine with the same data has left.

        carried: what the engine said whose work this one goes on with. now: a clock, in seconds.
        """
        self.config, self.dataset, self.settings = config, dataset, settings
        objective = model_of(config).objective(dataset.train, torch.device(device), tables.user.dtype)
        cache = CurvatureCache(objective, tables.user.shape[1], settings.cache_bytes)
        self.state = State(objective, tables.stacked(), cache)
        self._now, self._watch = now, Stopwatch(now)
        self._push = Push(self.state, now)
        self._added, self._batch = carried.added, carried.batch

    @property
    def tables(self) -> Parameters:
        """The parameters as they are now: views, which the next update changes."""
        return Parameters.unstacked(self.state.theta, self.dataset.train.users)

    @property
    def carried(self) -> Carried:
        """What the next engine on this model has to know."""
        return Carried(self._batch, self._added)

    @property
    def counters(self) -> Counters:
        """What the curvature cache has done so far."""
        return replace(self.state.cache.counters)

    def apply(self, deletion: Deletion) -> Update:
        """Delete rows and move the parameters towards the retrained model's.

        With `auto` and `global` it ends at a residual influence of at most `settings.tolerance`, unless steps run out
        (`reason` tells). Where another support is forced, the influence is as predicted, and `settle` tells.
        Rows that are deleted already are passed over.
        """
        self._watch = Stopwatch(self._now)
        with self._watch.stage("settle"):
            self.state.settle()
        with self._watch.stage("debt"):
            retired = self.dataset.retire(deletion)
            removal = self.state.remove(retired.train)
        if len(removal.touched) > 0:
            self._added += removal.energy
            self._batch = self.state.total_energy
        answer = self._answer(removal, retired.train)
        return self._update(retired, torch.cat([removal.emptied, answer.moved]), answer)

    def warm_up(self) -> None:
        """Load what an update runs and change nothing, so that the first batch is answered as fast as the next."""
        state = self.state
        state.cache.warm_up()
        self._push.warm_up()
        rows = state.objective.ridge.nonzero()[:1, 0]
        support = choose(state, rows, 0.0)
        on_support(state, support.rows, Limits(0.5, 1))
        state.objective.product(state.theta, state.slopes, state.debt)
        for side, of_users in ((self.tables.user, True), (self.tables.item, False)):
            state.objective.across(state.theta, state.slopes, side, of_users)
        state.objective.advance(state.theta, state.slopes, torch.zeros_like(state.theta))
        nothing = np.empty(0, dtype=np.int64)
        state.objective.pull(state.theta, state.slopes, rows[:0])
        state.objective.factors(state.theta, state.slopes, nothing, nothing)
        state.objective.spread_side(state.theta[rows[:0]], state.theta, state.slopes, rows[:0], state.debt, math.inf)
        state.move(rows, torch.zeros_like(state.theta[rows]))
        state.settle()

    def settle(self) -> Settled:
        """Make the debt exact after an update; the next update does it otherwise."""
        read = self.state.settle()
        energy = self.state.total_energy
        total = math.sqrt(energy / self._added) if self._added > 0 else 0.0
        return Settled(self._influence(energy), total, read)

    def refine(self, stop: Callable[[], bool] = never) -> Update | None:
        """Pay off the debt of all batches on all rows, down to `settings.refined`; None where it is paid.

        stop(): asked before every product with the Hessian. A solve that was stopped keeps what it has.
        """
        self._watch = Stopwatch(self._now)
        with self._watch.stage("settle"):
            self.state.settle()
        if self._influence(self.state.total_energy) <= self.settings.refined:
            return None
        answer = self._on_all_rows(self.settings.refined, stop)
        return self._update(Deletion.nothing(), answer.moved, answer)

    def _answer(self, removal: Removal, deleted: Int64) -> _Answer:
        """By the support that was asked for; by `auto`, with the least predicted work."""
        if len(removal.touched) == 0:
            return self._nothing()
        match self.settings.support:
            case "push":
                return self._by_push(removal.touched)
            case "k_hop":
                return self._by_importance(deleted)
            case "residual":
                return self._on_support(self._chosen(removal.touched))
            case "global":
                return self._on_all_rows(self.settings.tolerance, never)
            case "auto":
                return self._cheapest(removal.touched)

    def _cheapest(self, touched: Tensor) -> _Answer:
        """Local answers, settled each, as long as they are predicted to be cheaper than all rows; then all rows."""
        state, tolerance, seeds = self.state, self.settings.tolerance, touched
        answer = self._nothing()
        for _ in range(_ROUNDS):
            most = of_all_rows(state, tolerance)
            # To choose a support reads what its seeds have.
            if incident(state.objective, seeds) > most:
                break
            support = self._chosen(seeds)
            solved, pushed = of_support(state, support.rows, tolerance), of_push(state, seeds, _AIM * tolerance)
            if min(solved, pushed) > most:
                break
            local = self._on_support(support) if solved <= pushed else self._by_push(seeds)
            answer = answer.then(local).then(self._settled(local.method))
            if answer.influence <= tolerance:
                return answer
            seeds = densest(state.energy, state.objective.ridge, self._allowed())
        return answer.then(self._on_all_rows(tolerance, never))

    def _nothing(self) -> _Answer:
        influence = self._influence(self.state.total_energy)
        return _Answer(self.state.rows[:0], "none", "nothing_to_move", influence, 0, 0)

    def _allowed(self) -> float:
        """Energy that the rows outside of a support may keep."""
        return (_EACH * self.settings.tolerance) ** 2 * self._batch

    def _chosen(self, seeds: Tensor) -> Support:
        with self._watch.stage("choose"):
            return choose(self.state, seeds, self._allowed())

    def _by_push(self, touched: Tensor) -> _Answer:
        """One push from the touched rows; what it leaves is as predicted."""
        settings = self.settings
        budget = Budget(settings.push_rows, settings.push_interactions, settings.push_milliseconds)
        with self._watch.stage("solve"):
            allowed = (_AIM * settings.tolerance) ** 2 * self._batch
            pushed = self._push.run(touched, self.state.total_energy, allowed, budget)
        influence = self._influence(pushed.left)
        return _Answer(pushed.rows, "push", pushed.reason, influence, pushed.iterations, pushed.interactions_read)

    def _by_importance(self, deleted: Int64) -> _Answer:
        """One solve on the most important rows around what is deleted; what it leaves is as predicted."""
        state, settings = self.state, self.settings
        with self._watch.stage("choose"):
            chosen = k_hop(self.dataset.train, deleted, settings.k_hop_hops, settings.k_hop_share)
        rows = torch.from_numpy(chosen).to(state.rows.device)
        inside = math.sqrt(float(state.energy[rows].sum()))
        outside = max(self._batch - inside**2, 0.0)
        limits = Limits(settings.tolerance, settings.products, _REACH * inside)
        with self._watch.stage("solve"):
            found = on_support(state, rows, limits, settings.k_hop_damping)
            state.move(rows, found.solution.x)
        influence = self._influence(found.left**2 + outside)
        read = found.interactions_read
        return _Answer(rows, "k_hop", found.solution.reason, influence, found.solution.iterations, read)

    def _settled(self, method: str) -> _Answer:
        """What a local answer really leaves: it does not see all that it sets off in the rows around it."""
        with self._watch.stage("settle"):
            read = self.state.settle_move()
        influence = self._influence(self.state.total_energy)
        return _Answer(self.state.rows[:0], method, Reason.TOLERANCE, influence, 0, read)

    def _on_support(self, support: Support) -> _Answer:
        inside = math.sqrt(float(self.state.energy[support.rows].sum()))
        goal = _EACH * self.settings.tolerance * math.sqrt(self._batch) / inside if inside > 0 else 1.0
        limits = Limits(min(goal, 0.5), self.settings.products, _REACH * inside)
        with self._watch.stage("solve"):
            found = on_support(self.state, support.rows, limits)
            self.state.move(support.rows, found.solution.x)
        influence = self._influence(found.left**2 + support.outside)
        read = support.interactions_read + found.interactions_read
        return _Answer(support.rows, "residual", found.solution.reason, influence, found.solution.iterations, read)

    def _on_all_rows(self, tolerance: float, stop: Callable[[], bool]) -> _Answer:
        """Newton steps on all rows until the exact residual influence is at most `tolerance`."""
        state, batch = self.state, math.sqrt(self._batch)

        def limits(norm: float, _: float) -> Limits | None:
            if norm <= tolerance * batch:
                return None
            return Limits(max(_AIM * tolerance * batch / norm, _EXACTEST), self.settings.products)

        with self._watch.stage("solve"):
            # To eliminate a side takes its blocks at their word: they must not have the deleted penalties any more.
            if _AIM * tolerance < LOOSE:
                state.cache.purge()
            steps = self.settings.steps
            descent = descend(state.objective, state.point(), state.metric, limits, steps, stop, reach=_REACH)
            state.arrive(descent)
        read = descent.products * self.dataset.train.retained
        influence = self._influence(state.total_energy)
        reason = Reason.TOLERANCE if descent.reason == "stationary" else descent.reason
        moved = state.objective.ridge.nonzero()[:, 0]
        return _Answer(moved, "global", reason, influence, descent.products, read)

    def _influence(self, energy: float) -> float:
        return math.sqrt(energy / self._batch) if self._batch > 0 else 0.0

    def _update(self, deletion: Deletion, rows: Tensor, answer: _Answer) -> Update:
        theta, users = self.state.theta, self.dataset.train.users
        rows = rows.sort().values
        border = int((rows < users).sum())
        return Update(
            deletion=deletion,
            user_rows=rows[:border],
            user_values=theta[rows[:border]],
            item_rows=rows[border:] - users,
            item_values=theta[rows[border:]],
            influence=answer.influence,
            method=answer.method,
            reason=answer.reason,
            iterations=answer.iterations,
            interactions_read=answer.interactions_read,
            seconds=self._watch.seconds,
        )
