"""The main loop: events in, versions and receipts out. One thread runs it, and it owns the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ifrud.adoption import Adoption
from ifrud.batcher import Batch, Batcher
from ifrud.housekeeping import Housekeeping
from ifrud.lookout import Lookout
from ifrud.observe.metrics import Stopwatch
from ifrud.observe.report import Reporter
from ifrud.patience import Patience
from ifrud.pipeline import Pipeline
from ifrud.proofs import Proofs
from ifrud.streams.positions import Goal, lag
from ifrud.streams.sources import SourceError

QUIET_POLL = 0.1
"""Seconds that a poll waits for events; a signal is noticed after this time at the latest."""

LAG_SECONDS = 1.0
"""How often the lag is shown, here and to lag tools, which takes a request to the broker."""

BUSY_SECONDS = 2.0
"""Where events have left no time for proofs for so long, one begins beside them."""

LOOK_SECONDS = 0.003
"""How often a refinement looks whether events have come."""


@dataclass(frozen=True)
class IdleWork:
    """Whether the model is refined and proven in idle time, and after how many seconds without an event.

    refined: whether nothing was deleted since the version that the service starts with was refined or trained.
    """

    refine: bool
    refined: bool
    prove: bool
    after: float


@dataclass
class Service:
    """Reads events, collects them into batches and processes these, until it is told to stop.

    now: seconds, never going back. check: raises where another thread has died.
    """

    pipeline: Pipeline
    batcher: Batcher
    idle: IdleWork
    reporter: Reporter
    proofs: Proofs
    lookout: Lookout
    housekeeping: Housekeeping
    adoption: Adoption
    patience: Patience
    now: Callable[[], float]
    check: Callable[[], None]

    def __post_init__(self) -> None:
        self._source = self.pipeline.streams.source
        self._contact = self.reporter.board.contacts["source"]
        self._watch = self._new_watch()
        self._last_event = self._lag_due = self._idle_at = self.now()
        self._silent = self._refined = False
        self._busy_since: float | None = None

    def run(self, stop: Callable[[], bool], drain: bool) -> None:
        """Process events until told to stop or the source ends, then the batch in hand. drain: until its present end.

        Once it has resumed, it outlasts a source, a store and outboxes that are away.
        Raises SourceError, OutboxError, StoreError, CommitLost, CommitUnknown or TooManyBadEvents: the process
        must end then.
        """
        self.patience.last(stop)
        # As with receipts, a version on top of one says that the candidate it was made from is gone.
        self.adoption.finish()
        self.pipeline.resume()
        self._refined = not self.idle.refine or self.idle.refined
        while drain and self.adoption.look(self._new_watch):
            pass
        if self.idle.prove and not drain:
            # Before events make another version of it.
            self.proofs.beside()
        goal = Goal(self._source.end()) if drain else None
        try:
            while not stop() and not (goal and self._reached(goal)):
                self._step(stop, drain)
        except SourceError:
            # The source may not have them any more.
            self._finish()
            raise
        self._finish()

    def _step(self, stop: Callable[[], bool], drain: bool) -> None:
        # A batch that became full while the model was refined is not waited for.
        if self.batcher.room:
            self._look(self._patience())
        batch = self.batcher.close(self.now())
        if batch is not None:
            self._process(batch)
        elif len(self.batcher) == 0:
            self.lookout.look(self.pipeline.model.manifest)
            self.housekeeping.look(self.pipeline.model.manifest)
        if (batch is not None or len(self.batcher) == 0) and self.adoption.look(self._new_watch):
            self.proofs.give_up()
            self._refined = not self.idle.refine
        elif batch is None and len(self.batcher) == 0 and self._quiet() and not drain:
            self._improve(stop)
        if batch is not None and self.idle.prove and not drain and self.now() - self._idle_at >= BUSY_SECONDS:
            self.proofs.beside()
        self._show_lag()

    def _finish(self) -> None:
        """Process the events in hand."""
        self.reporter.stopping()
        batch = self.batcher.close(self.now(), stopping=True)
        if batch is not None:
            self._process(batch)
        self.pipeline.acknowledge(self._watch)

    def _patience(self) -> float:
        if self._busy_since is not None:
            return 0.0
        patience = self.batcher.patience(self.now())
        return QUIET_POLL if patience is None else min(patience, QUIET_POLL)

    def _look(self, timeout: float) -> None:
        """Record that this thread is alive, check that the others are, and read new events."""
        self.reporter.board.beat()
        self.check()
        asked = self.now()
        with self._watch.stage("poll"):
            events = self._source.poll(self.batcher.room, timeout)
        self._contact.heard(self._source.heard(), asked)
        now = self.now()
        self.batcher.add(events, now, self._busy_since)
        self._busy_since = None
        self._silent = not events
        if events:
            self.proofs.hold_back()
            self._last_event = now
            self.reporter.board.update(in_hand=len(self.batcher))

    def _process(self, batch: Batch) -> None:
        self._busy_since = self.now()
        self.pipeline.process(batch, self._watch)
        self.reporter.board.update(in_hand=len(self.batcher))
        self._watch = self._new_watch()
        self._refined = not self.idle.refine

    def _quiet(self) -> bool:
        return self.now() - self._last_event >= self.idle.after

    def _improve(self, stop: Callable[[], bool]) -> None:
        """Refine the newest version; once there is nothing more to gain, remove what is old, and prove it."""
        if not self._refined:
            self._refine(stop)
        elif self.pipeline.restatement_is_due:
            self.pipeline.restate(self._new_watch())
        elif self.housekeeping.collecting.due:
            self.housekeeping.collect(self._interrupted(stop))
        elif self.idle.prove:
            self._idle_at = self.now()
            self.proofs.idle()

    def _refine(self, stop: Callable[[], bool]) -> None:
        self.pipeline.refine(self._interrupted(stop), self._new_watch())
        # A refinement that was not interrupted leaves nothing to gain before the next batch.
        self._refined = len(self.batcher) == 0

    def _interrupted(self, stop: Callable[[], bool]) -> Callable[[], bool]:
        """Whether idle work is to end, asked again and again: it looks for events now and then."""
        due = self.now() + LOOK_SECONDS

        def interrupted() -> bool:
            nonlocal due
            if len(self.batcher) == 0 and self.now() >= due:
                self._look(0.0)
                due = self.now() + LOOK_SECONDS
            return stop() or len(self.batcher) > 0

        return interrupted

    def _new_watch(self) -> Stopwatch:
        return Stopwatch(self.reporter.metrics, self.now)

    def _reached(self, goal: Goal) -> bool:
        positions = self.pipeline.positions
        if self._silent and len(self.batcher) == 0 and not goal.reached(positions):
            # What follows the last event may be no event, which the source only knows once it has read it.
            goal.lower(self._source.end())
        return goal.reached(positions)

    def _show_lag(self) -> None:
        if self.now() >= self._lag_due:
            end = self._source.known_end()
            known = self._contact.connected == 1 and self.pipeline.positions.keys() <= end.keys()
            self.reporter.lag(lag(self.pipeline.positions, end) if known else None)
            self.pipeline.acknowledge(self._watch)
            self._lag_due = self.now() + LAG_SECONDS
