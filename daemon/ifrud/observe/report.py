"""What a version did, said in one log line, in the metrics and on the status board. No ids in any of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

import structlog

from ifru.curvature.cache import Counters
from ifru.engine.update import Settled, Update
from ifru.snapshots import Manifest
from ifrud.batcher import Closed
from ifrud.observe.metrics import Metrics, Stage
from ifrud.observe.status import Board
from ifrud.prover import RMS_BOUND
from ifrud.requests.intake import Intake

log = structlog.stdlib.get_logger("ifrud")


@dataclass(frozen=True)
class Asked:
    """What a batch asked for. duplicates: requests that had been answered before, or stood twice in it."""

    events: int
    closed: Closed
    published: int
    nothing_to_erase: int
    duplicates: int
    dead_letters: int


@dataclass(frozen=True)
class Done:
    """One version. asked: None for a refinement or a proof. update: None where nothing moved. seconds: by stage.

    cache: what the curvature cache has done since the engine started.
    """

    manifest: Manifest
    asked: Asked | None
    update: Update | None
    settled: Settled
    cache: Counters
    seconds: Mapping[Stage, float]

    @property
    def sentence(self) -> str:
        """What was done and why."""
        clauses = [f"version {self.manifest.version} {self._what()}"]
        if self.asked is not None:
            clauses.append(f"the batch closed because {self.asked.closed}")
        if self.update is not None:
            how = f"{self.update.method}, ended by {self.update.reason}"
            clauses.append(f"the update ({how}) left {self.update.influence:.2%} of the influence")
        return "; ".join(clauses)

    def _what(self) -> str:
        asked = self.asked
        if asked is None and self.update is None:
            bound = self.manifest.quality[RMS_BOUND]
            return f"moves nothing; its predictions are proven to be within {bound:.2e} of the retrained model's"
        if asked is None:
            return "refines the model in idle time"
        deleted = self.deleted
        parts = {
            f"{asked.published} deleted {deleted[0]} training and {deleted[1]} held-out interactions": asked.published,
            f"{asked.nothing_to_erase} found nothing to erase": asked.nothing_to_erase,
            f"{asked.duplicates} had been answered before": asked.duplicates,
            f"{asked.dead_letters} went to the dead letters": asked.dead_letters,
        }
        events = "1 event" if asked.events == 1 else f"{asked.events} events"
        return f"answers {events}: {', '.join(part for part, count in parts.items() if count)}"

    @property
    def deleted(self) -> tuple[int, int]:
        """Training and held-out interactions."""
        if self.update is None:
            return 0, 0
        return len(self.update.deletion.train), len(self.update.deletion.holdout)


class Reporter:
    """Tells log, metrics and status board what was done. utc: the time of day."""

    def __init__(self, board: Board, metrics: Metrics, utc: Callable[[], datetime]) -> None:
        self._board = board
        self._metrics = metrics
        self._utc = utc
        self._cache = Counters()

    def ready(self, manifest: Manifest, settled: Settled, positions: Mapping[int, int], repeated: int) -> None:
        """The model is loaded, the source is at its place, and the newest version's receipts were sent again."""
        self._show(manifest, settled)
        self._board.update(state="ready", positions=dict(positions))
        self._metrics.ready.set(1)
        log.info(
            f"ready: goes on after version {manifest.version}, whose {repeated} receipts were repeated",
            version=manifest.version,
            positions=dict(positions),
        )

    def stopping(self) -> None:
        self._board.update(state="stopping")
        self._metrics.ready.set(0)

    def answered(self, intake: Intake) -> None:
        """The receipts of a batch are durable."""
        now = self._utc().timestamp()
        for arrival in intake.arrivals:
            self._metrics.latency.observe(max(0.0, now - arrival.received))
        for letter in intake.letters:
            self._metrics.dead_letters.labels(letter.field.partition(".")[0]).inc()

    def lag(self, lag: int) -> None:
        """How much the source holds beyond the newest version."""
        self._metrics.lag.set(lag)
        self._board.update(lag=lag)

    def done(self, done: Done, positions: Mapping[int, int]) -> None:
        """One version is published and its batch is complete."""
        self._show(done.manifest, done.settled)
        self._board.update(positions=dict(positions), last_version=done.sentence, last_version_time=self._utc())
        read = 0 if done.update is None else done.update.interactions_read
        self._metrics.interactions_read.inc(read + done.settled.interactions_read)
        self._count_cache(done.cache)
        if done.asked is not None:
            self._count(done, done.asked)
        elif done.update is not None:
            self._metrics.refinements.inc()
        else:
            self._metrics.proofs.inc()
        log.info(done.sentence, version=done.manifest.version, **_fields(done))

    def _show(self, manifest: Manifest, settled: Settled) -> None:
        self._metrics.residual.set(settled.influence)
        self._metrics.residual_total.set(settled.total)
        self._metrics.version.set(manifest.version)
        self._metrics.retained.labels("train").set(manifest.retained)
        self._metrics.retained.labels("holdout").set(manifest.holdout)
        self._metrics.rms_bound.set(manifest.quality.get(RMS_BOUND, math.nan))
        self._metrics.auc.set(manifest.quality.get("auc", math.nan))
        self._board.update(
            version=manifest.version,
            retained_interactions=manifest.retained,
            holdout_interactions=manifest.holdout,
            residual_influence=settled.influence,
            residual_influence_total=settled.total,
        )

    def _count_cache(self, cache: Counters) -> None:
        before, self._cache = asdict(self._cache), cache
        for event, rows in asdict(cache).items():
            self._metrics.cache.labels(event).inc(rows - before[event])

    def _count(self, done: Done, asked: Asked) -> None:
        metrics, old, deleted = self._metrics, self._board.status, done.deleted
        metrics.batches.inc()
        metrics.batch_requests.observe(asked.events)
        metrics.requests.labels("published").inc(asked.published)
        metrics.requests.labels("nothing_to_erase").inc(asked.nothing_to_erase)
        metrics.duplicates.inc(asked.duplicates)
        metrics.deleted.labels("train").inc(deleted[0])
        metrics.deleted.labels("holdout").inc(deleted[1])
        self._board.update(
            batches=old.batches + 1,
            requests=old.requests + asked.published + asked.nothing_to_erase,
            nothing_to_erase=old.nothing_to_erase + asked.nothing_to_erase,
            duplicates=old.duplicates + asked.duplicates,
            dead_letters=old.dead_letters + asked.dead_letters,
            deleted_interactions=old.deleted_interactions + sum(deleted),
        )


def _fields(done: Done) -> dict[str, object]:
    """What a log search filters by."""
    fields: dict[str, object] = {
        "residual_influence": done.settled.influence,
        "residual_influence_total": done.settled.total,
        "seconds": {stage: round(seconds, 6) for stage, seconds in done.seconds.items()},
    }
    asked = done.asked
    if asked is not None:
        fields |= {
            "events": asked.events,
            "requests": asked.published + asked.nothing_to_erase,
            "duplicates": asked.duplicates,
            "dead_letters": asked.dead_letters,
            "deleted": sum(done.deleted),
        }
    return fields
