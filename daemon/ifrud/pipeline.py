"""What is done with one batch, from its events to its receipts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ifru.engine.update import Update
from ifru.requests import Identity
from ifrud.batcher import Batch
from ifrud.model import Model
from ifrud.observe.metrics import Stopwatch
from ifrud.observe.report import Asked, Done, Reporter
from ifrud.prover import RMS_BOUND, Proven, Prover
from ifrud.requests.answered import Answered
from ifrud.requests.answers import Answers, answer
from ifrud.requests.intake import Gate, Intake
from ifrud.requests.receipts import Receipt
from ifrud.streams.outboxes import Outbox
from ifrud.streams.positions import advanced
from ifrud.streams.sources import Source


@dataclass(frozen=True)
class Ends:
    """Where events come from, and where answers go."""

    source: Source
    receipts: Outbox
    dead_letters: Outbox


@dataclass(frozen=True)
class Knowledge:
    """What the store knows: the model, and which requests were answered. keyed_hash: of a request."""

    model: Model
    answered: Answered
    keyed_hash: Callable[[Identity], str]


class Pipeline:
    """Turns batches into versions and receipts.

    It remembers nothing that the newest version's manifest does not say. So a process that dies before a commit is
    followed by one that does the same work again, and one that dies after it by one that sends the same receipts again.
    utc: the time of day.
    """

    def __init__(
        self, knowledge: Knowledge, ends: Ends, gate: Gate, reporter: Reporter, utc: Callable[[], datetime]
    ) -> None:
        self._model = knowledge.model
        self._answered = knowledge.answered
        self._keyed_hash = knowledge.keyed_hash
        self._ends = ends
        self._gate = gate
        self._reporter = reporter
        self._utc = utc

    @property
    def positions(self) -> Mapping[int, int]:
        """How far the newest version has read the source."""
        return self._model.positions(self._ends.source.name)

    @property
    def answered_last(self) -> bool:
        """Whether the newest version answered requests, and was not trained or refined."""
        return len(self._model.manifest.events) > 0

    def resume(self) -> None:
        """Go on where the newest version ends: seek there, and repeat its receipts, which may never have been sent."""
        manifest = self._model.manifest
        self._ends.source.seek(self.positions)
        receipts = self._answered.receipts(manifest.version)
        self._ends.receipts.send([receipt.record() for receipt in receipts])
        self._reporter.ready(manifest, self._model.settled, self.positions, len(receipts))

    def process(self, batch: Batch, watch: Stopwatch) -> None:
        """Publish the version that has forgotten what a batch asks for, and answer its requests.

        1. Tell requests from bad events. 2. Send the bad ones away: before the commit, so that none is ever lost.
        3. Find the rows. 4. Update the model. 5. Commit, receipts included. 6. Send the receipts.
        7. Settle what the model still owes. 8. Show lag tools how far the source was read.
        Raises what these raise; only 5 changes what a next process starts from.
        """
        # 1
        with watch.stage("decode"):
            intake = self._gate.read(batch.events)
        # 2
        with watch.stage("dead_letters"):
            self._ends.dead_letters.send([letter.record() for letter in intake.letters])
        # 3
        with watch.stage("resolve"):
            answers = answer(intake.arrivals, self._model.dataset, self._keyed_hash, self._answered.receipt)
        # 4
        with watch.stage("update"):
            update = self._model.forget(answers.deletion)
        # 5
        positions = advanced(self.positions, batch.events)
        with watch.stage("commit"):
            receipts = self._commit(update, answers, positions)
        # 6
        with watch.stage("receipts"):
            self._ends.receipts.send([receipt.record() for receipt in receipts])
        self._reporter.answered(intake)
        # 7
        with watch.stage("settle"):
            settled = self._model.settle()
        # 8
        with watch.stage("acknowledge"):
            self._ends.source.acknowledge(positions)
        asked = _asked(batch, intake, answers)
        done = Done(self._model.manifest, asked, update, settled, self._model.counters, watch.seconds)
        self._reporter.done(done, positions)

    def refine(self, stop: Callable[[], bool], watch: Stopwatch) -> None:
        """Publish a better version of the same data, where there is one. stop(): asked all the time."""
        with watch.stage("refine"):
            update = self._model.refine(stop)
        if update is None or len(update.parameters) == 0:
            return
        with watch.stage("commit"):
            self._answered.add(self._model.publish(update, {}, (), ()))
        with watch.stage("settle"):
            settled = self._model.settle()
        self._reporter.done(
            Done(self._model.manifest, None, update, settled, self._model.counters, watch.seconds), self.positions
        )

    @property
    def proven(self) -> bool:
        """Whether the newest version says how near to the retrained model it is proven to be."""
        return RMS_BOUND in self._model.manifest.quality

    def prove(self, prover: Prover) -> None:
        """Have the newest version proven; `take` publishes what comes of it."""
        model = self._model
        prover.start(model.manifest.version, model.engine.config, model.engine.parameters, model.dataset)

    def take(self, proven: Proven, watch: Stopwatch) -> None:
        """Publish what was found about the newest version; about an older one it is of no use any more.

        The proof becomes a version of its own that moves nothing: a manifest is never written twice.
        """
        if proven.version != self._model.manifest.version:
            return
        with watch.stage("commit"):
            self._answered.add(self._model.publish(None, {}, (), (), proven.quality))
        settled = self._model.settle()
        self._reporter.done(
            Done(self._model.manifest, None, None, settled, self._model.counters, watch.seconds), self.positions
        )

    def _commit(self, update: Update | None, answers: Answers, positions: Mapping[int, int]) -> Sequence[Receipt]:
        influence = None if update is None else update.influence
        receipts = answers.receipts(self._model.manifest.version + 1, self._utc(), influence)
        lines = [receipt.line() for receipt in receipts]
        manifest = self._model.publish(update, {self._ends.source.name: positions}, answers.hashes, lines)
        self._answered.add(manifest)
        return receipts


def _asked(batch: Batch, intake: Intake, answers: Answers) -> Asked:
    return Asked(
        events=len(batch.events),
        closed=batch.closed,
        published=answers.count("published"),
        nothing_to_erase=answers.count("nothing_to_erase"),
        duplicates=len(answers.repeated) + answers.again,
        dead_letters=len(intake.letters),
    )
