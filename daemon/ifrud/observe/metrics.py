"""Every metric of the daemon: its name, kind, unit, labels and meaning."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

Stage = Literal[
    "poll", "decode", "dead_letters", "resolve", "update", "commit", "receipts", "settle", "acknowledge", "refine"
]

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_EVENTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000)


class Metrics:
    """The daemon's metrics, in a registry that is passed in."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry

        # Counters
        self.requests = Counter(
            "ifrud_requests_total", "Requests answered by a receipt, by its state.", ["state"], registry=registry
        )
        self.duplicates = Counter(
            "ifrud_duplicate_requests_total",
            "Requests whose id had been answered before; the first receipt was sent again.",
            registry=registry,
        )
        self.dead_letters = Counter(
            "ifrud_dead_letters_total", "Events that were no request, by the field that was wrong.", ["field"],
            registry=registry,
        )  # fmt: skip
        self.batches = Counter("ifrud_batches_total", "Batches committed.", registry=registry)
        self.refinements = Counter(
            "ifrud_refinements_total", "Versions committed in idle time that moved the model.", registry=registry
        )
        self.proofs = Counter(
            "ifrud_proofs_total", "Versions committed in idle time to carry a proof.", registry=registry
        )
        self.deleted = Counter(
            "ifrud_deleted_interactions_total",
            "Interactions deleted, by table (train, holdout).",
            ["table"],
            registry=registry,
        )
        self.interactions_read = Counter(
            "ifrud_engine_interactions_read_total",
            "Interactions that the engine read to compute its updates.",
            registry=registry,
        )
        self.cache = Counter(
            "ifrud_engine_cache_rows_total",
            "Rows by what the curvature cache did, by event (hits, misses, rebuilds, down_dates, evictions, gram).",
            ["event"],
            registry=registry,
        )

        # Histograms
        self.batch_requests = Histogram(
            "ifrud_batch_requests", "Events in a batch.", buckets=_EVENTS, registry=registry
        )
        self.stage = Histogram(
            "ifrud_stage_seconds",
            "Seconds spent in a stage of one batch; the stages add up to the time of the engine thread.",
            ["stage"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.latency = Histogram(
            "ifrud_request_latency_seconds",
            "Seconds from reading an event to its receipt being durable.",
            buckets=_SECONDS,
            registry=registry,
        )

        # Gauges
        self.version = Gauge("ifrud_version", "Number of the newest version published.", registry=registry)
        self.residual = Gauge(
            "ifrud_residual_influence",
            "Share of the newest batch's influence that is still in the model, from 0 to 1.",
            registry=registry,
        )
        self.residual_total = Gauge(
            "ifrud_residual_influence_carried",
            "Share of the influence of all deletions since the last full retrain that is still in the model.",
            registry=registry,
        )
        self.rms_bound = Gauge(
            "ifrud_proof_rms_bound",
            "Proven bound on the RMS difference in predicted probability to the retrained model; NaN where unproven.",
            registry=registry,
        )
        self.retained = Gauge(
            "ifrud_retained_interactions", "Interactions retained, by table.", ["table"], registry=registry
        )
        self.lag = Gauge(
            "ifrud_source_lag",
            "What the source holds beyond the newest version: events on Kafka, bytes in a file.",
            registry=registry,
        )
        self.ready = Gauge("ifrud_ready", "1 while the daemon takes requests, else 0.", registry=registry)
        self.build = Gauge("ifrud_build_info", "Always 1; the version of the package.", ["version"], registry=registry)
        self.auc = Gauge(
            "ifrud_holdout_auc",
            "AUC of the newest version on the held-out interactions that remain; NaN where it was not measured.",
            registry=registry,
        )
        self.rms_bound.set(float("nan"))
        self.auc.set(float("nan"))


class Stopwatch:
    """Seconds by stage, for one batch; what it measured goes to the histogram as well."""

    def __init__(self, metrics: Metrics, clock: Callable[[], float]) -> None:
        self._metrics = metrics
        self._clock = clock
        self.seconds: dict[Stage, float] = {}

    @contextmanager
    def stage(self, name: Stage) -> Iterator[None]:
        """Measure what runs inside. A stage that raises is not counted."""
        start = self._clock()
        yield
        elapsed = self._clock() - start
        self.seconds[name] = self.seconds.get(name, 0.0) + elapsed
        self._metrics.stage.labels(name).observe(elapsed)
