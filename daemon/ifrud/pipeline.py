"""What is done with one batch, from its events to its receipts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import numpy as np

from ifru.engine.engine import UpdateFailed
from ifru.engine.update import Update
from ifru.interactions import Deletion
from ifru.requests import Request, refusal
from ifru.snapshots import NOBODY, Event, Holding, Manifest, Reader, Remembered, Run, Suppressed, Version
from ifru.snapshots import Source as Recorded
from ifrud.batcher import Batch, Closed
from ifrud.model import NO_QUALITY, Model
from ifrud.observe.metrics import Stopwatch
from ifrud.observe.report import BatchCounts, NewVersion, Reporter
from ifrud.requests.answered import Answered
from ifrud.requests.answers import Answers, Recognised, answer, recognise
from ifrud.requests.brake import Brake
from ifrud.requests.decisions import decide
from ifrud.requests.intake import Decoder
from ifrud.requests.proven import RequestProofs
from ifrud.requests.purges import Purges
from ifrud.requests.receipts import Receipt
from ifrud.streams.outboxes import Outbox, Record
from ifrud.streams.positions import advanced
from ifrud.streams.sources import Source, SourceError

POSITIONS_DUE = timedelta(hours=1)
"""So long the newest version may stand where nothing but events came that ask for nothing; then one says how far these
were read. Before that a process that starts anew reads them again."""


@dataclass(frozen=True)
class Streams:
    """Where events come from, and where receipts and dead letters go."""

    source: Source
    receipts: Outbox
    dead_letters: Outbox


@dataclass
class Pipeline:
    """Turns batches into versions and receipts.

    What it does follows from the newest version's manifest and the events alone. So a process that dies before a commit
    is followed by one that does the same work again, and one that dies after it by one that sends the same receipts
    again. reader: of the receipts of the newest version. utc: the time of day.
    """

    model: Model
    reader: Reader
    answered: Answered
    brake: Brake
    streams: Streams
    decoder: Decoder
    reporter: Reporter
    purges: Purges
    proven: RequestProofs
    utc: Callable[[], datetime]
    positions: Mapping[int, int] = field(default_factory=dict, init=False)
    """How far the newest version has read the source; after `resume` at least where reading goes on."""
    _acknowledged: Mapping[int, int] | None = field(default=None, init=False)

    def resume(self) -> None:
        """Go on where the newest version ends: seek there, repeat its receipts, which may never have been sent, and
        claim the prefix, so that another process that still works on it publishes nothing any more.

        Receipts come first: whatever follows a version says that its receipts were sent. Raises what these raise.
        """
        manifest = self.model.manifest
        source = self.streams.source
        self.positions = source.seek(manifest.sources.get(source.name, Recorded(partitions={})))
        receipts = [Receipt.read(line) for line in self.reader.receipts(manifest.version)]
        self.streams.receipts.send([receipt.record() for receipt in receipts])
        self.model.claim(self._recorded(self.positions))
        self.reporter.ready(self.model.manifest, self.model.settled, self.positions, len(receipts))
        self._show_open(())

    def process(self, batch: Batch, watch: Stopwatch) -> None:
        """Publish the version that has forgotten what a batch asks for, and answer its requests.

        1. Decode the events, and tell requests that are new from those that were answered before.
        2. Send dead letters for events that are no requests, or others under a used id, or that the data has no answer
        to: before the commit, so that none is ever lost. A batch that asks for nothing ends here.
        3. Find the rows, and hold what would erase too many. 4. Update the model. 5. Commit, receipts included.
        6. Send the receipts, then tell readers of the new version.
        7. Compute the residual influence exactly.
        Raises what these raise; only 5 changes what the next process starts from.

        Where the engine fails, 3 to 7 are done with half of the requests and then with the rest; a request on which it
        fails alone becomes a dead letter. Only the last of these versions says that the batch was read, and answers
        what failed: a process that starts in between finds the requests before answered, and tries the others again.
        """
        # 1
        with watch.stage("decode"):
            intake, letters, held = self.decoder.decode(batch.events), self.decoder.letters, self.brake.held
            engine = self.model.engine
            refused = partial(refusal, dataset=engine.dataset, config=engine.config, relabels=engine.relabels)
            recognised = recognise(intake, self.answered, letters, refused, held)
            recognised = decide(recognised, held, self.answered, letters, refused)
        self._show_open(request for request, _ in recognised.fresh.values())
        self.reporter.ignored(recognised.ignored)
        # 2
        with watch.stage("dead_letters"):
            self.streams.dead_letters.send([letter.record() for letter in recognised.letters])
        if recognised.asks_nothing and self.utc() - self.model.manifest.time < POSITIONS_DUE:
            self.positions = advanced(self.positions, batch.events)
            self.reporter.board.update(positions=dict(self.positions))
            return
        # 3 to 7
        sizes = [len(recognised.fresh)]
        while sizes:
            size = sizes.pop()
            part, later = recognised.split(size) if sizes else (recognised, recognised)
            positions = self.positions if sizes else advanced(self.positions, batch.events)
            try:
                self._answer(part, positions, batch.closed, watch)
                recognised = later
            except UpdateFailed as error:
                self.reporter.board.beat()
                if size > 1:
                    sizes += [size - size // 2, size // 2]
                else:
                    recognised = self._failed(recognised, error)
                    sizes = sizes or [0]
        self._show_open(())

    def _show_open(self, fresh: Iterable[Request]) -> None:
        """Requests of a batch that are not answered yet, and those that are held, are open."""
        self.reporter.open([*fresh, *(held.request for held in self.brake.held.values())])

    def _answer(self, part: Recognised, positions: Mapping[int, int], closed: Closed, watch: Stopwatch) -> None:
        """Steps 3 to 7 for requests. Raises UpdateFailed before anything is published."""
        # 3
        with watch.stage("resolve"):
            answers = answer(part, self.model.dataset, self.brake, self.utc())
            erased = self.proven.erased(answers)
        # 4
        with watch.stage("update"):
            update = self.model.forget(answers.deletion)
        # 5
        with watch.stage("commit"):
            receipts, records = self._commit(update, answers, positions)
            self.proven.add(erased)
        # 6
        with watch.stage("receipts"):
            self.streams.receipts.send(records)
        self.reporter.answered(part)
        with watch.stage("hint"):
            self.model.hint()
        # 7
        with watch.stage("settle"):
            self.model.settle()
        purged = sum(receipt.state == "purged" for receipt in receipts)
        self._report(_counts(closed, answers, update), update, watch, purged)

    def _failed(self, recognised: Recognised, error: UpdateFailed) -> Recognised:
        """What is left to answer of a batch, after the engine has failed on its first fresh request alone."""
        found = recognised.with_failed(error, self.decoder.letters)
        self.streams.dead_letters.send([found.letters[-1].record()])
        return found

    def acknowledge(self, watch: Stopwatch) -> None:
        """Show lag tools how far the source was read, where that is further than they were shown."""
        if self.positions == self._acknowledged:
            return
        self._acknowledged = self.positions
        with watch.stage("acknowledge"):
            try:
                self.streams.source.acknowledge(self.positions)
            except SourceError as error:
                self.reporter.acknowledgement_failed(error)

    def refine(self, stop: Callable[[], bool], watch: Stopwatch) -> None:
        """Publish a version nearer to the retrained model, where there is one. stop(): asked again and again."""
        try:
            with watch.stage("refine"):
                update = self.model.refine(stop)
        except UpdateFailed as error:
            self.reporter.refinement_failed(self.model.manifest.version, error)
            return
        if update is not None and len(update.parameters) > 0:
            self._publish_idle(update, NO_QUALITY, watch)

    def state(self, quality: Mapping[str, float], watch: Stopwatch) -> None:
        """Publish a version that moves nothing, and says what is known of the newest."""
        self._publish_idle(None, quality, watch)

    @property
    def restatement_is_due(self) -> bool:
        """Whether a version is to be written that changes nothing: a full one, or one for receipts."""
        return self.purges.overdue() or self.proven.overdue() or self.model.full_versions.overdue(self.model.manifest)

    def restate(self, watch: Stopwatch) -> None:
        """Publish the newest version once more, with the receipts of what was purged; full if it is time for that."""
        with watch.stage("commit"):
            purged = self.purges.receipts
            lines, records = _written([*purged, *self.proven.receipts])
            stored = self._to_store(erases=False)
            self._published(self.model.restate(lines, stored, self.purges.read), stored)
            self.proven.sent()
        with watch.stage("receipts"):
            self.streams.receipts.send(records)
        self._report(None, None, watch, purged=len(purged), restated=True)

    def adopt(self, candidate: Version, watch: Stopwatch) -> None:
        """Publish the version that has forgotten in a candidate whatever was erased. Raises UnfitCandidate."""
        with watch.stage("update"):
            update = self.model.adopt(candidate)
        self._publish_idle(update, NO_QUALITY, watch, candidate.manifest.attempt)

    def _publish_idle(
        self, update: Update | None, quality: Mapping[str, float], watch: Stopwatch, candidate: str | None = None
    ) -> None:
        """Publish a version that answers nothing. candidate: the name of the one that it was made from."""
        with watch.stage("commit"):
            self._publish(update, {}, (), (), quality, candidate=candidate)
        with watch.stage("settle"):
            self.model.settle()
        self._report(None, update, watch)

    def _commit(
        self, update: Update | None, answers: Answers, positions: Mapping[int, int]
    ) -> tuple[Sequence[Receipt], Sequence[Record]]:
        # In single precision it takes half of the memory where requests are remembered.
        influence = None if update is None else float(np.float32(update.influence))
        version, now, events = self.model.manifest.version + 1, self.utc(), answers.events
        receipts = [*answers.receipts(version, now, influence), *self.purges.receipts, *self.proven.receipts]
        lines, records = _written(receipts)
        brake, purged = answers.braked(self.brake, version, now), self.purges.read
        added = self.model.suppression.of(answers.suppressed)
        self._publish(update, self._recorded(positions), events, lines, NO_QUALITY, purged, brake.holding, added)
        self.proven.sent()
        self.positions, self.brake = positions, brake
        self.answered.add(Run.of_version(version, now, influence, events, list(answers.remembered.values())))
        return receipts, records

    def _recorded(self, positions: Mapping[int, int]) -> Mapping[str, Recorded]:
        source = self.streams.source
        return {source.name: source.recorded(positions)}

    def _publish(
        self,
        update: Update | None,
        positions: Mapping[str, Recorded],
        events: Sequence[Event],
        receipts: Sequence[bytes],
        quality: Mapping[str, float],
        purged: int = 0,
        holding: Holding | None = None,
        added: Suppressed = NOBODY,
        candidate: str | None = None,
    ) -> None:
        """Commit a version, with what it stores of requests that were answered before."""
        stored = self._to_store(update is not None and len(update.deletion) > 0, candidate is not None)
        manifest = self.model.publish(
            update, positions, events, receipts, quality, stored, purged, holding, added, candidate
        )
        self._published(manifest, stored)

    def _to_store(self, erases: bool, full: bool = False) -> Remembered | None:
        return self.answered.to_store(self.model.manifest, self.utc(), full or self.model.full_is_due(erases))

    def _published(self, manifest: Manifest, stored: Remembered | None) -> None:
        if stored is not None:
            self.answered.stored(manifest, stored)
        if manifest.purged >= self.purges.read:
            self.purges.sent()

    def _report(
        self,
        batch: BatchCounts | None,
        update: Update | None,
        watch: Stopwatch,
        purged: int = 0,
        restated: bool = False,
    ) -> None:
        model = self.model
        new = NewVersion(model.manifest, batch, update, model.settled, model.counters, watch.seconds, purged, restated)
        self.reporter.published(new, self.positions)


def _written(receipts: Sequence[Receipt]) -> tuple[list[bytes], list[Record]]:
    """The lines of receipts, for the ledger, and what is sent of them."""
    lines = [receipt.line() for receipt in receipts]
    return lines, [receipt.record(line) for receipt, line in zip(receipts, lines, strict=True)]


def _counts(closed: Closed, answers: Answers, update: Update | None) -> BatchCounts:
    deleted = Deletion.nothing() if update is None else update.deletion
    # What an approval released came with no event of its own.
    places = {(arrival.event.partition, arrival.event.offset) for arrival in answers.recognised.accepted}
    return BatchCounts(
        events=len(places)
        + len(answers.recognised.letters)
        + answers.recognised.ignored
        - len(answers.recognised.failed),
        closed=closed,
        published=answers.count("published"),
        nothing_to_erase=answers.count("nothing_to_erase"),
        failed=answers.count("failed"),
        held=answers.count("held"),
        duplicates=answers.recognised.duplicates,
        dead_letters=len(answers.recognised.letters),
        deleted_train=len(deleted.train),
        deleted_holdout=len(deleted.holdout),
        relabelled=deleted.relabelled,
        ignored=answers.recognised.ignored,
    )
