"""Writes what was done to the log, the metrics and the status board. None of them holds an id."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial

import structlog

from ifru.curvature.cache import Counters
from ifru.engine.update import Settled, Update
from ifru.errors import IfruError
from ifru.requests import Request
from ifru.snapshots import Collection, Manifest
from ifrud.batcher import Closed
from ifrud.observe.metrics import Metrics, Stage
from ifrud.observe.status import Board
from ifrud.prover import RMS_BOUND
from ifrud.requests.answers import Recognised

log = structlog.stdlib.get_logger("ifrud")


@dataclass(frozen=True)
class BatchCounts:
    """What a batch held and deleted. duplicates: requests that had been answered before, or stood twice in it.

    ignored: events that ask for nothing. relabelled: interactions whose label was corrected.
    """

    events: int
    closed: Closed
    published: int
    nothing_to_erase: int
    failed: int
    held: int
    duplicates: int
    dead_letters: int
    deleted_train: int
    deleted_holdout: int
    ignored: int = 0
    relabelled: int = 0

    @property
    def sentence(self) -> str:
        """How its events were answered, and why it closed."""
        deleted = f"{self.deleted_train} training and {self.deleted_holdout} held-out interactions"
        if self.relabelled:
            deleted += f" and corrected {self.relabelled} labels"
        parts = {
            f"{self.published} deleted {deleted}": self.published,
            f"{self.nothing_to_erase} found nothing to erase": self.nothing_to_erase,
            f"the engine found no update for {self.failed}": self.failed,
            f"{self.held} would erase too much and are held until they are approved": self.held,
            f"{self.duplicates} had been answered before": self.duplicates,
            f"{self.dead_letters} went to the dead letters": self.dead_letters,
            f"{self.ignored} asked for nothing": self.ignored,
        }
        events = "1 event" if self.events == 1 else f"{self.events} events"
        answers = ", ".join(part for part, count in parts.items() if count)
        return f"answers {events}: {answers}; the batch closed because {self.closed}"


@dataclass(frozen=True)
class NewVersion:
    """A version that was published. batch: None where it answers nothing. update: None where nothing moved.

    cache: what the curvature cache has done since the engine started. seconds: by stage. purged: so many of its
    receipts say that what a request erased is gone. restated: it is the version before it once more.
    """

    manifest: Manifest
    batch: BatchCounts | None
    update: Update | None
    settled: Settled
    cache: Counters
    seconds: Mapping[Stage, float]
    purged: int = 0
    restated: bool = False

    @property
    def sentence(self) -> str:
        """What was done and why."""
        batch, update = self.batch, self.update
        if batch is not None:
            what = batch.sentence
        elif self.manifest.candidate is not None:
            what = f"adopts the candidate {self.manifest.candidate}"
        elif update is not None:
            what = "refines the model in idle time"
        elif self.restated:
            how = "is written anew, without what was erased" if self.manifest.kind == "full" else "changes nothing"
            what = how
        else:
            bound = self.manifest.quality[RMS_BOUND]
            what = f"moves nothing; its predictions are proven to be within {bound:.2e} of the retrained model's"
        if update is not None:
            how = f"{update.method}, ended by {update.reason}"
            what += f"; the update ({how}) left {update.influence:.2%} of the influence"
        if self.purged:
            what += f"; {self.purged} requests were told that what they erased is gone from the store"
        return f"version {self.manifest.version} {what}"

    @property
    def fields(self) -> dict[str, object]:
        """What a log search filters by."""
        found: dict[str, object] = {
            "version": self.manifest.version,
            "residual_influence": self.settled.influence,
            "residual_influence_total": self.settled.total,
            "seconds": {stage: round(seconds, 6) for stage, seconds in self.seconds.items()},
        }
        batch = self.batch
        if batch is not None:
            found |= {
                "events": batch.events,
                "requests": batch.published + batch.nothing_to_erase + batch.failed + batch.held,
                "failed": batch.failed,
                "held": batch.held,
                "duplicates": batch.duplicates,
                "dead_letters": batch.dead_letters,
                "deleted": batch.deleted_train + batch.deleted_holdout,
            }
        return found


class Reporter:
    """Writes to the log, the metrics and the status board. utc: the time of day."""

    def __init__(self, board: Board, metrics: Metrics, utc: Callable[[], datetime]) -> None:
        self.board = board
        self.metrics = metrics
        self._utc = utc
        self._cache = Counters()
        self._newest: Manifest | None = None
        metrics.ready.set_function(lambda: board.ready)
        metrics.proof_age.set_function(self._proof_age)
        source, store = board.contacts["source"], board.contacts["store"]
        for connected, answered, contact in (
            (metrics.source_connected, metrics.source_answered, source),
            (metrics.store_connected, metrics.store_answered, store),
        ):
            connected.set_function(partial(getattr, contact, "connected"))
            answered.set_function(partial(getattr, contact, "answered_at"))
        for outbox in ("receipts", "dead_letters"):
            metrics.outbox_connected.labels(outbox).set_function(partial(getattr, board.contacts[outbox], "connected"))

    def ready(self, manifest: Manifest, settled: Settled, positions: Mapping[int, int], repeated: int) -> None:
        """The model is loaded, the source is at its place, the receipts of the version before `manifest` were sent
        again, and `manifest` claims the prefix."""
        self._show(manifest, settled)
        self.board.update(state="ready", positions=dict(positions))
        log.info(
            f"ready: {repeated} receipts of the newest version were repeated, version {manifest.version} is our claim",
            version=manifest.version,
            positions=dict(positions),
        )

    def stopping(self) -> None:
        """No event is read any more."""
        self.board.update(state="stopping")

    def answered(self, batch: Recognised) -> None:
        """The receipts of a batch are durable."""
        now = self._utc()
        latencies = [max(0.0, now.timestamp() - arrival.event.received) for arrival in batch.accepted]
        # Events of one poll were received at the same time.
        for seconds, times in Counter(latencies).items():
            self.metrics.latency.observe_many(seconds, times)
        for request, _ in batch.fresh.values():
            self.metrics.age.observe(max(0.0, (now - request.time).total_seconds()))
        self.board.recent.answered(latencies, len(batch.letters), now)
        for field, letters in Counter(letter.field.partition(".")[0] for letter in batch.letters).items():
            self.metrics.dead_letters.labels(field).inc(letters)

    def open(self, requests: Iterable[Request]) -> None:
        """All requests that were read and are not answered now, or are held."""
        found = list(requests)
        self.board.recent.open(found)
        for gauge, times in (
            (self.metrics.oldest_open, [request.time for request in found]),
            (self.metrics.nearest_deadline, [request.deadline for request in found if request.deadline is not None]),
        ):
            gauge.set(min(times).timestamp() if times else math.nan)

    def ignored(self, events: int) -> None:
        """Events were read that ask for nothing."""
        self.metrics.ignored.inc(events)

    def lag(self, lag: int | None) -> None:
        """How much the source holds beyond the newest version; None where that is not known."""
        self.metrics.lag.set(math.nan if lag is None else lag)
        self.board.update(lag=lag)
        self.board.recent.lag(lag, self._utc())

    def proof_failed(self, version: int, error: IfruError) -> None:
        """Nothing can be proven about a version, which stays the newest."""
        self.metrics.proof_failures.inc()
        log.warning(f"nothing is proven about version {version}: {error}", version=version)

    def acknowledgement_failed(self, error: IfruError) -> None:
        """Lag tools could not be shown how far the source was read. Nothing else depends on it."""
        self.metrics.acknowledgement_failures.inc()
        log.warning(f"lag tools are not shown how far events were read: {error}")

    def refinement_failed(self, version: int, error: IfruError) -> None:
        """A version is as near to the retrained model as it was; it stays the newest."""
        log.warning(f"version {version} cannot be refined: {error}", version=version)

    def collected(self, found: Collection) -> None:
        """Old versions are gone."""
        self.metrics.collected.inc(len(found.versions))
        for name in found.refused:
            self.refused(name, f"it was made before version {found.base}, and what was erased since is purged")
        log.info(
            f"{len(found.versions)} versions were collected, {len(found.files)} files deleted; version {found.oldest} "
            f"is the oldest that is left, and stands on version {found.base}",
            oldest=found.oldest,
            base=found.base,
        )

    def refused(self, candidate: str, reason: str) -> None:
        """A candidate will not be adopted."""
        count = self.board.status.candidates_refused + 1
        self.board.update(candidates_refused=count, last_refused=f"{candidate}: {reason}")
        log.error(f"refused the candidate {candidate}: {reason}", candidate=candidate)

    def collection_failed(self, error: IfruError) -> None:
        """Old versions are still there. It is tried again."""
        log.warning(f"old versions are not collected: {error}")

    def purges_failed(self, error: IfruError) -> None:
        """Nobody is told yet what was purged. It is tried again."""
        log.warning(f"it cannot be found out what was purged: {error}")

    def published(self, new: NewVersion, positions: Mapping[int, int]) -> None:
        """A version is published, and its receipts are sent."""
        self._show(new.manifest, new.settled)
        self.board.update(positions=dict(positions), last_version=new.sentence, last_version_time=self._utc())
        read = 0 if new.update is None else new.update.interactions_read
        self.metrics.interactions_read.inc(read + new.settled.interactions_read)
        before, self._cache = asdict(self._cache), new.cache
        for event, rows in asdict(new.cache).items():
            self.metrics.cache.labels(event).inc(rows - before[event])
        if new.batch is not None:
            self._count(new.batch)
        elif new.manifest.candidate is not None:
            self.metrics.adoptions.inc()
        elif new.update is not None:
            self.metrics.refinements.inc()
        elif not new.restated:
            self.metrics.proofs.inc()
        self.metrics.requests.labels("purged").inc(new.purged)
        written = sum(file.size for file in new.manifest.files)
        self.metrics.published_bytes.labels(new.manifest.kind).inc(written)
        log.info(new.sentence, **new.fields)

    def _show(self, manifest: Manifest, settled: Settled) -> None:
        metrics = self.metrics
        self.board.recent.shown(manifest, settled.influence)
        metrics.version.set(manifest.version)
        metrics.published.set(manifest.time.timestamp())
        if self._newest is not None and self._newest.model.name != manifest.model.name:
            metrics.model.clear()
        metrics.model.labels(manifest.model.name).set(1)
        metrics.residual.set(settled.influence)
        metrics.residual_total.set(settled.total)
        metrics.retained.labels("train").set(manifest.retained)
        metrics.retained.labels("holdout").set(manifest.holdout)
        self._newest, proof = manifest, manifest.proof
        # Versions of older releases only say what is proven of themselves.
        older = manifest.quality.get(RMS_BOUND, math.nan)
        metrics.rms_bound.set(older if proof is None else proof.rms_bound)
        metrics.proof_version.set(math.nan if proof is None else proof.version)
        metrics.auc.set(manifest.quality.get("auc", math.nan))
        oldest = min(manifest.held, key=lambda each: each.since, default=None)
        metrics.held.set(len(manifest.held))
        metrics.held_since.set(math.nan if oldest is None else oldest.since.timestamp())
        self.board.update(
            version=manifest.version,
            retained_interactions=manifest.retained,
            holdout_interactions=manifest.holdout,
            residual_influence=settled.influence,
            residual_influence_total=settled.total,
            held=len(manifest.held),
            held_since=None if oldest is None else oldest.since,
            held_reason=None if oldest is None else oldest.reason,
        )

    def _proof_age(self) -> float:
        newest = self._newest
        if newest is None or newest.proof is None:
            return math.nan
        proven = newest.quality.get(RMS_BOUND) is not None
        return 0.0 if proven else (self._utc() - newest.proof.time).total_seconds()

    def _count(self, batch: BatchCounts) -> None:
        metrics, old = self.metrics, self.board.status
        metrics.batches.inc()
        metrics.batch_requests.observe(batch.events)
        metrics.requests.labels("published").inc(batch.published)
        metrics.requests.labels("nothing_to_erase").inc(batch.nothing_to_erase)
        metrics.requests.labels("failed").inc(batch.failed)
        metrics.requests.labels("held").inc(batch.held)
        metrics.duplicates.inc(batch.duplicates)
        metrics.deleted.labels("train").inc(batch.deleted_train)
        metrics.deleted.labels("holdout").inc(batch.deleted_holdout)
        self.board.update(
            batches=old.batches + 1,
            requests=old.requests + batch.published + batch.nothing_to_erase + batch.failed + batch.held,
            nothing_to_erase=old.nothing_to_erase + batch.nothing_to_erase,
            duplicates=old.duplicates + batch.duplicates,
            dead_letters=old.dead_letters + batch.dead_letters,
            deleted_interactions=old.deleted_interactions + batch.deleted_train + batch.deleted_holdout,
        )
