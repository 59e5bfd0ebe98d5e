"""The main loop: events in, versions and receipts out. One thread runs it, and it owns the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ifrud.batcher import Batch, Batcher
from ifrud.observe.metrics import Metrics, Stopwatch
from ifrud.observe.report import Reporter
from ifrud.observe.status import Board
from ifrud.pipeline import Pipeline
from ifrud.prover import Prover
from ifrud.streams.positions import Goal, lag
from ifrud.streams.sources import Source

QUIET_POLL = 0.1
"""Seconds that a poll waits where there is nothing to do; a signal is noticed after at most as long."""

LAG_SECONDS = 1.0
"""How often the lag is shown."""

LOOK_SECONDS = 0.003
"""How often a refinement looks whether events have come."""


@dataclass(frozen=True)
class Idling:
    """Whether the model is refined and proven in idle time, and after how many seconds without an event."""

    refine: bool
    prove: bool
    after: float


@dataclass(frozen=True)
class Telling:
    """Who is told what happens."""

    board: Board
    metrics: Metrics
    reporter: Reporter


class Service:
    """source → batcher → pipeline, for as long as nobody stops it.

    now: seconds, never going back. check: raises where another thread has died.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        source: Source,
        batcher: Batcher,
        idling: Idling,
        telling: Telling,
        now: Callable[[], float],
        check: Callable[[], None],
        prover: Prover,
    ) -> None:
        self._pipeline = pipeline
        self._source = source
        self._batcher = batcher
        self._idling = idling
        self._telling = telling
        self._now = now
        self._check = check
        self._prover = prover
        self._watch = Stopwatch(telling.metrics, now)
        self._refines = idling.refine
        self._last_event = now()
        self._lag_due = now()
        self._silent = False
        self._refined = False

    def run(self, stop: Callable[[], bool], drain: bool) -> None:
        """Deal with events until told to stop, then with the batch in hand. drain: until the source's present end.

        Raises SourceError, OutboxError, StoreError, CommitLost, CommitUnknown or TooManyBadEvents: the process is to
        end then.
        """
        # Who drains waits for what is there to be published; a better version of the same is not asked for.
        self._refines = self._idling.refine and not drain
        self._pipeline.resume()
        self._refined = not self._pipeline.answered_last
        goal = Goal(self._source.end()) if drain else None
        while not stop() and not (goal and self._reached(goal)):
            self._look(self._patience())
            batch = self._batcher.close(self._now())
            if batch is not None:
                self._process(batch)
            elif self._idle():
                self._refine(stop)
            elif not drain:
                self._prove()
            self._show_lag()
        self._telling.reporter.stopping()
        batch = self._batcher.close(self._now(), stopping=True)
        if batch is not None:
            self._process(batch)

    def _patience(self) -> float:
        patience = self._batcher.patience(self._now())
        return QUIET_POLL if patience is None else min(patience, QUIET_POLL)

    def _look(self, timeout: float) -> None:
        """Show that this thread lives, see that the others do, and take in what has come."""
        self._telling.board.beat()
        self._check()
        with self._watch.stage("poll"):
            events = self._source.poll(self._batcher.room, timeout)
        now = self._now()
        self._batcher.add(events, now)
        self._silent = not events
        if events:
            # They make a version, and with that a proof of this one useless.
            self._prover.give_up()
            self._last_event = now
            self._telling.board.update(in_hand=len(self._batcher))

    def _process(self, batch: Batch) -> None:
        self._pipeline.process(batch, self._watch)
        self._telling.board.update(in_hand=len(self._batcher))
        self._watch = Stopwatch(self._telling.metrics, self._now)
        self._refined = False

    def _idle(self) -> bool:
        if self._refined or not self._refines:
            return False
        return self._quiet()

    def _quiet(self) -> bool:
        return len(self._batcher) == 0 and self._now() - self._last_event >= self._idling.after

    def _refine(self, stop: Callable[[], bool]) -> None:
        due = self._now() + LOOK_SECONDS

        def wanted_elsewhere() -> bool:
            nonlocal due
            if len(self._batcher) == 0 and self._now() >= due:
                self._look(0.0)
                due = self._now() + LOOK_SECONDS
            return stop() or len(self._batcher) > 0

        self._pipeline.refine(wanted_elsewhere, Stopwatch(self._telling.metrics, self._now))
        # Once it was left to finish there is nothing more to gain before the next batch.
        self._refined = len(self._batcher) == 0

    def _prove(self) -> None:
        """Start a proof of the newest version once nothing else is to be done, or publish the one that has come."""
        proven = self._prover.result()
        if proven is not None:
            self._pipeline.take(proven, Stopwatch(self._telling.metrics, self._now))
        elif self._idling.prove and not self._prover.busy and not self._pipeline.proven and self._quiet():
            self._pipeline.prove(self._prover)

    def _reached(self, goal: Goal) -> bool:
        positions = self._pipeline.positions
        if self._silent and len(self._batcher) == 0 and not goal.reached(positions):
            # What follows the last event may be no event, which the source finds out by reading it.
            goal.lower(self._source.end())
        return goal.reached(positions)

    def _show_lag(self) -> None:
        if self._now() >= self._lag_due:
            self._telling.reporter.lag(lag(self._pipeline.positions, self._source.known_end()))
            self._lag_due = self._now() + LAG_SECONDS
