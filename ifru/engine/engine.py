"""The influence engine: it keeps the debt, and pays it off where it matters.

    debt      g = ∇L(θ; retained data), exact and current, for every row
    deletion  changes the gradient of the rows it touches, and of those that a model passes on to them
    update    moves the rows of a support, and with them the gradient of those rows and their neighbours
    what is left is measured, published and carried to the next batch; nothing is dropped

Axes: R rows of θ (users first), S rows of a support, T touched rows, K columns of a row.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ifru.curvature.cache import Counters, CurvatureCache
from ifru.engine.block_step import BlockStep
from ifru.engine.push import Budget, Push
from ifru.engine.rounding import Grid, Rounding
from ifru.engine.settings import EngineSettings
from ifru.engine.state import Removal, State, incident
from ifru.engine.supported import check_support
from ifru.engine.supports import (
    RADIUS,
    Support,
    Supports,
    densest,
    of_all_rows,
    of_push,
    of_support,
    on_all_rows,
    on_support,
)
from ifru.engine.update import NOTHING_CARRIED, Carried, Settled, Update
from ifru.errors import IfruError
from ifru.interactions import Dataset, Deletion
from ifru.interactions.table import Int64
from ifru.models import ModelConfig, model_of
from ifru.objective.parameters import Parameters
from ifru.objective.response import ResponseObjective
from ifru.solvers.pcg import Limits, never
from ifru.solvers.reason import Reason

_ROUNDS = 2
"""Local answers that are tried before all rows are."""

_AIM = 0.7
"""Share of the tolerance that local answers are predicted to leave: the rest is for what they do not see."""

_EACH = _AIM / math.sqrt(2)
"""Where two things leave something, a support and the solve on it, each may leave so much."""

_FEW, _REACHED, _DEAR = 1 << 14, 0.5, 0.3
"""Interactions read in milliseconds; share of the debt that a block step of more reaches; influence all rows leave."""


class UpdateFailed(IfruError):
    """No update came of a deletion: what it leaves is not finite. The engine that raises it is lost."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"the engine found no update for this deletion: {reason}; look for weights, labels or parameters around it "
            "that are not finite, negative or extremely large"
        )


class _NotLower(ArithmeticError):
    """A local answer that leaves more than nothing done."""


@dataclass(frozen=True)
class _Answer:
    """How an update came about; see `Update` for the fields."""

    method: str
    reason: Reason
    influence: float
    iterations: int
    interactions_read: int

    def then(self, other: _Answer) -> _Answer:
        """This answer, followed by another one."""
        iterations = self.iterations + other.iterations
        read = self.interactions_read + other.interactions_read
        return replace(other, iterations=iterations, interactions_read=read)


class Engine:
    """One model, its data, and the debt between them. Owned by one thread.

    `apply` answers a batch, `settle` makes the debt exact after the answer is out, `refine` pays it off in idle time.
    The data set is the engine's own: `apply` deletes from it.
    """

    def __init__(
        self,
        config: ModelConfig,
        parameters: Parameters,
        dataset: Dataset,
        settings: EngineSettings,
        device: torch.device | str = "cpu",
        carried: Carried = NOTHING_CARRIED,
        debt: Parameters | None = None,
        now: Callable[[], float] = time.perf_counter,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        """parameters: a stationary point, or what an engine with the same data has left.

        debt: what is owed where answers are responses; where it is given, they are; zero in a new one.
        carried: what the engine said whose work this one goes on with. now: a clock, in seconds. beat(): called at each
        step of an update, which reads the data about once at most, for whoever watches that it goes on.
        Raises UnsupportedSupport where the settings name a support that the model does not offer.
        """
        self.config, self.dataset, self.settings = config, dataset, settings
        theta = parameters.stacked()
        objective = model_of(config).objective(dataset.train, torch.device(device), parameters.computed_in)
        self.relabels = hasattr(objective, "relabel")  # Objectives of other authors may be older than it.
        if debt is not None and not objective.capabilities.response:
            objective = ResponseObjective(objective)
        owed = None if debt is None else debt.stacked()
        check_support(settings.support, objective.capabilities, config.name)
        self._now, self._beat = now, beat
        self._seconds: dict[str, float] = {}
        self._rounding = Rounding(parameters.user.dtype)
        self._work_on(State(objective, theta, CurvatureCache(objective, settings.cache_bytes), owed))
        self._block_step = BlockStep(self.state) if objective.capabilities.response else None
        self._added, self._batch = carried.added, carried.batch

    @property
    def parameters(self) -> Parameters:
        """As they are now: views, which the next update changes."""
        return self.state.objective.layout.parameters(self.state.point.theta)

    @property
    def serving(self) -> Parameters | None:
        """The tables that score pairs, as they are now; None where the parameters do so themselves."""
        theta = self.state.point.theta
        rows = self.state.objective.serving(theta)
        return None if rows is theta else self.state.objective.layout.parameters(rows)

    @property
    def debt(self) -> Parameters | None:
        """What is owed where answers are responses, which nobody can tell from the parameters alone; else None."""
        objective = self.state.objective
        return objective.layout.parameters(self.state.point.gradient) if objective.capabilities.response else None

    @property
    def carried(self) -> Carried:
        """What the next engine on this model has to know."""
        return Carried(self._batch, self._added)

    @property
    def counters(self) -> Counters:
        """What the curvature cache has done so far."""
        return replace(self.state.cache.counters)

    def apply(self, deletion: Deletion) -> Update:
        """Delete rows, relabel others, and move the parameters towards the retrained model's.

        With `auto` and `global` it ends at a residual influence of at most `settings.tolerance`, unless steps run out
        (`reason` tells). Of a push, which may be what `auto` chose, the influence is as predicted; `settle` tells.
        Rows that are deleted already are passed over. What is returned is finite, and leaves no more residual influence
        than to move nothing would. Raises UpdateFailed; the data set has lost the rows then.
        """
        self._seconds = {}
        try:
            with self._stage("settle"):
                self._settle()
            with self._stage("debt"):
                deleted = self.dataset.delete(deletion)
                removal = self.state.remove(deleted.train, deleted.train_labels.rows)
            if len(removal.touched) > 0:
                self._added += removal.added
                self._batch = self.state.total_decrement
            if not math.isfinite(self._added + self._batch):
                raise UpdateFailed("the gradient without these interactions is not finite")
            answer = self._answer(removal, np.union1d(deleted.train, deleted.train_labels.rows))
        except ArithmeticError as error:
            raise UpdateFailed(str(error)) from error
        return self._update(deleted, removal.emptied, answer)

    def settle(self) -> Settled:
        """Make the debt exact after an update; the next update does it otherwise."""
        read = self._settle()
        left = self.state.total_decrement
        total = math.sqrt(left / self._added) if self._added > 0 else 0.0
        return Settled(self._influence(left), total, read)

    def refine(self, stop: Callable[[], bool] = never) -> Update | None:
        """Pay off the debt of all batches on all rows, down to `settings.refined`; None where it is paid.

        stop(): asked before every product with the Hessian. A solve that was stopped keeps what it has, unless that is
        more than there was: then nothing moves. Raises UpdateFailed.
        """
        self._seconds = {}
        try:
            with self._stage("settle"):
                self._settle()
            if self._influence(self.state.total_decrement) <= self.settings.refined:
                return None
            self.state.origins.clear()
            answer = self._on_all_rows(self.settings.refined, stop)
        except ArithmeticError as error:
            raise UpdateFailed(str(error)) from error
        return self._update(Deletion.nothing(), self.state.rows[:0], answer)

    def _work_on(self, state: State) -> None:
        self.state = state
        self._supports, self._push = Supports(state, self.settings), Push(state, self._now, beat=self._beat)

    def _settle(self) -> int:
        """Make the debt exact; returns the number of interactions read."""
        read = self.state.settle()
        if self._block_step is not None:
            self._block_step.learn()
        return read

    def _answer(self, removal: Removal, deleted: Int64) -> _Answer:
        """By the support that was asked for; by `auto`, with the least predicted work."""
        if len(removal.touched) == 0:
            return self._nothing()
        match self.settings.support:
            case "push":
                return self._pushed(removal)
            case "k_hop":
                return self._or_all_rows(partial(self._by_importance, deleted))
            case "residual":
                return self._or_all_rows(lambda: self._by_residual(self._chosen(removal.touched)))
            case "auto":
                return self._by_least_work(removal)
            case "global":
                return self._on_all_rows(self.settings.tolerance, self._beating)

    def _by_least_work(self, removal: Removal) -> _Answer:
        """`auto`. A response without compiled loops waits for products where they read little, or where it must."""
        model, tolerance = self.state.objective.capabilities, self.settings.tolerance
        if model.row_local:
            return self._cheapest(removal.touched)
        if self._block_step is not None and not model.compiled and self.dataset.train.retained > _FEW:
            if self._block_step.reaches(removal.touched) >= _REACHED:
                return self._pushed(removal)
            tolerance = max(tolerance, _DEAR)
        return self._on_all_rows(tolerance, self._beating)

    def _or_all_rows(self, local: Callable[[], _Answer], settles: bool = True) -> _Answer:
        """A local answer, settled. Where it leaves more than nothing done, all is put back, and all rows are moved."""
        before, since = self._influence(self.state.total_decrement), len(self.state.origins)
        try:
            answer = self._settled(local()) if settles else local()
            moved = torch.cat([self.state.rows[:0], *(rows for rows, _ in self.state.origins[since:])])
            if answer.influence <= before and bool(self.state.point.theta[moved].isfinite().all()):
                return answer
        except ArithmeticError:
            # What a local answer has met far from where it began says nothing of an answer on all rows.
            pass
        self._work_on(self.state.put_back(since))
        return self._on_all_rows(self.settings.tolerance, self._beating)

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
            solved = of_support(state, support.rows, tolerance)
            pushed = of_push(state, seeds, self._allowed(_AIM), _AIM * tolerance)
            if min(solved, pushed) > most:
                break
            local = partial(self._by_residual, support) if solved <= pushed else partial(self._by_push, seeds)
            answer = answer.then(self._or_all_rows(local))
            if answer.influence <= tolerance or answer.method == "global":
                return answer
            seeds = densest(state.decrements, state.objective.ridge, self._allowed(_EACH))
        return answer.then(self._on_all_rows(tolerance, self._beating))

    def _nothing(self) -> _Answer:
        influence = self._influence(self.state.total_decrement)
        return _Answer("none", Reason.NOTHING_TO_MOVE, influence, 0, 0)

    def _allowed(self, aim: float) -> float:
        """What squared decrements may sum to that leave a share of the tolerance."""
        return (aim * self.settings.tolerance) ** 2 * self._batch

    def _chosen(self, seeds: Tensor) -> Support:
        with self._stage("choose"):
            return self._supports.residual(seeds, self._allowed(_EACH))

    def _by_push(self, touched: Tensor) -> _Answer:
        """One push from the touched rows; what it leaves is as predicted."""
        settings = self.settings
        budget = Budget(settings.push_rows, settings.push_interactions, settings.push_milliseconds)
        with self._stage("solve"):
            pushed = self._push.run(touched, self.state.total_decrement, self._allowed(_AIM), budget)
        if pushed.reason in (Reason.STALLED, Reason.ROUNDS):
            raise _NotLower
        influence = self._influence(pushed.left)
        return _Answer("push", pushed.reason, influence, pushed.iterations, pushed.interactions_read)

    def _pushed(self, removal: Removal) -> _Answer:
        """One push; of a response, one block step. All rows where it leaves more than nothing done."""
        if self._block_step is None:
            return self._or_all_rows(partial(self._by_push, removal.touched), settles=False)
        with self._stage("solve"):
            before, left = self.state.total_decrement, self._block_step.run(removal.touched, removal.scaled)
        local = _Answer("push", Reason.STEPS, self._influence(left), 0, 0)
        return local if left <= before else local.then(self._on_all_rows(self.settings.tolerance, self._beating))

    def _by_importance(self, deleted: Int64) -> _Answer:
        """One solve on the most important rows around what is deleted."""
        with self._stage("choose"):
            support = self._supports.k_hop(deleted)
        return self._on_support("k_hop", support, self.settings.tolerance, self.settings.k_hop_damping)

    def _by_residual(self, support: Support) -> _Answer:
        inside = math.sqrt(float(self.state.decrements[support.rows].sum()))
        goal = _EACH * self.settings.tolerance * math.sqrt(self._batch) / inside if inside > 0 else 1.0
        return self._on_support("residual", support, min(goal, 0.5))

    def _on_support(self, method: str, support: Support, tolerance: float, damping: float = 0.0) -> _Answer:
        inside = math.sqrt(float(self.state.decrements[support.rows].sum()))
        limits = Limits(tolerance, self.settings.products, RADIUS * inside)
        with self._stage("solve"):
            found = on_support(self.state, support.rows, limits, damping, self._beating)
            step, grid = found.solution.x, self._grid(self.settings.tolerance)
            self.state.move(support.rows, step if grid is None else grid.of_rows(support.rows).rounded(step))
        influence = self._influence(found.left**2 + support.outside)
        read = support.interactions_read + found.interactions_read
        return _Answer(method, found.solution.reason, influence, found.solution.iterations, read)

    def _settled(self, answer: _Answer) -> _Answer:
        """A local answer with what it really leaves: it does not see all that it sets off in the rows around it."""
        with self._stage("settle"):
            read = self.state.settle_move()
        influence = self._influence(self.state.total_decrement)
        reason = Reason.TOLERANCE if influence <= self.settings.tolerance else answer.reason
        return answer.then(_Answer(answer.method, reason, influence, 0, read))

    def _on_all_rows(self, tolerance: float, stop: Callable[[], bool]) -> _Answer:
        """Newton steps on all rows until the exact residual influence is at most `tolerance`.

        Where they leave more than there was, nothing moves.
        """
        batch = math.sqrt(self._batch)
        with self._stage("solve"):
            grid = self._grid(tolerance)
            reason, products = on_all_rows(self.state, self.settings, batch, tolerance, grid, stop)
        influence = self._influence(self.state.total_decrement)
        return _Answer("global", reason, influence, products, products * self.dataset.train.retained)

    def _beating(self) -> bool:
        """`stop` of a solve that nobody interrupts."""
        self._beat()
        return False

    def _influence(self, decrement: float) -> float:
        return math.sqrt(decrement / self._batch) if self._batch > 0 else 0.0

    def _grid(self, tolerance: float) -> Grid | None:
        """What the steps of this answer are rounded to."""
        return self._rounding.grid(self.state.settled_point(), tolerance, self._batch)

    def _update(self, deletion: Deletion, emptied: Tensor, answer: _Answer) -> Update:
        theta, (rows, before) = self.state.point.theta, self.state.take_origins()
        if (steps := self._rounding.steps(rows, before, theta[rows])) is not None:
            self.state.land(steps, before[torch.searchsorted(rows, steps.rows)])
        moved = rows[(theta[rows] != before).any(1)]
        return Update(
            deletion=deletion,
            parameters=self.state.objective.layout.update(theta, torch.cat([emptied, moved]), steps),
            influence=answer.influence,
            method=answer.method,
            reason=answer.reason,
            iterations=answer.iterations,
            interactions_read=answer.interactions_read,
            seconds=self._seconds,
        )

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        """Count the seconds of what happens inside to a stage."""
        start = self._now()
        try:
            yield
        finally:
            self._seconds[name] = self._seconds.get(name, 0.0) + self._now() - start
