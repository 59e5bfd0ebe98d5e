"""Every metric of the daemon: its kind, name, meaning, labels and buckets."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import partial
from typing import Generic, Literal, TypeVar, cast, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from ifru.curvature.cache import Counters
from ifrud.requests.dead_letters import FIELDS
from ifrud.requests.receipts import ReceiptState

Stage = Literal[
    "poll",
    "decode",
    "dead_letters",
    "resolve",
    "update",
    "commit",
    "receipts",
    "hint",
    "settle",
    "acknowledge",
    "refine",
]

M = TypeVar("M", Counter, Gauge, Histogram, "Latency")

_TABLES, _KINDS = ("train", "holdout"), ("full", "delta")
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_DAY = 86_400
_AGES = (0.1, 0.5, 1, 5, 30, 60, 300, 3600, 6 * 3600, _DAY, 3 * _DAY, 7 * _DAY, 14 * _DAY, 30 * _DAY)
_EVENTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000)


class Latency(Histogram):
    """A histogram that takes many equal observations at once."""

    def observe_many(self, amount: float, count: int) -> None:
        """The same as `observe`, so many times."""
        self._sum.inc(amount * count)
        self._buckets[bisect_left(self._upper_bounds, amount)].inc(count)


@dataclass(frozen=True)
class _Row(Generic[M]):
    """One row of the table below. Read from an object of `Metrics` it is the metric itself.

    values: those of the label that are shown from the start; none where they are not known before.
    """

    kind: Callable[..., M]
    name: str
    meaning: str
    label: str | None = None
    values: Iterable[str] = ()

    def __get__(self, metrics: Metrics, owner: type[Metrics]) -> M:
        return cast("M", metrics.by_name[self.name])

    def create(self, registry: CollectorRegistry) -> M:
        metric = self.kind(self.name, self.meaning, [self.label] if self.label else [], registry=registry)
        for shown in [metric.labels(value) for value in self.values] if self.label else [metric]:
            if isinstance(shown, Gauge):
                shown.set(math.nan)
        return metric


_counter, _gauge = partial(_Row, Counter), partial(_Row, Gauge)
_of_events, _of_seconds = (partial(_Row, partial(Histogram, buckets=buckets)) for buckets in (_EVENTS, _SECONDS))


class Metrics:
    """The daemon's metrics, in a registry that is passed in. A gauge is NaN until something is known."""

    requests = _counter(
        "ifrud_requests_total", "Requests answered by a receipt, by its state.", "state", get_args(ReceiptState)
    )
    duplicates = _counter(
        "ifrud_duplicate_requests_total",
        "Requests whose id had been answered before; the first receipt was sent again.",
    )
    dead_letters = _counter(
        "ifrud_dead_letters_total", "Events that were no request, by the field that was wrong.", "field", FIELDS
    )
    ignored = _counter(
        "ifrud_ignored_events_total",
        "Events that ask for nothing, such as rows inserted into a followed table.",
    )
    batches = _counter("ifrud_batches_total", "Batches committed.")
    refinements = _counter("ifrud_refinements_total", "Versions committed in idle time that moved the model.")
    adoptions = _counter("ifrud_adoptions_total", "Versions that were made from a candidate.")
    proofs = _counter("ifrud_proofs_total", "Versions committed in idle time to carry a proof.")
    proof_failures = _counter("ifrud_proof_failures_total", "Versions about which nothing could be proven.")
    acknowledgement_failures = _counter(
        "ifrud_acknowledgement_failures_total", "Times that lag tools could not be shown how far events were read."
    )
    published_bytes = _counter(
        "ifrud_published_bytes_total", "Bytes of the files of published versions, by their kind.", "kind", _KINDS
    )
    collected = _counter("ifrud_collected_versions_total", "Old versions collected by the daemon itself.")
    deleted = _counter(
        "ifrud_deleted_interactions_total", "Interactions deleted, by table (train, holdout).", "table", _TABLES
    )
    interactions_read = _counter(
        "ifrud_engine_interactions_read_total", "Interactions that the engine read to compute its updates."
    )
    cache = _counter(
        "ifrud_engine_cache_rows_total",
        "Rows by what the curvature cache did, by event (hits, misses, rebuilds, down_dates, evictions, gram).",
        "event",
        [event.name for event in fields(Counters)],
    )

    batch_requests = _of_events("ifrud_batch_requests", "Events in a batch.")
    stage = _of_seconds(
        "ifrud_stage_seconds",
        "Seconds spent in a stage of one batch; the stages add up to the time of the engine thread.",
        "stage",
    )
    latency = _Row(
        partial(Latency, buckets=_SECONDS),
        "ifrud_request_latency_seconds",
        "Seconds from reading an event to its receipt being durable.",
    )
    age = _Row(
        partial(Histogram, buckets=_AGES),
        "ifrud_request_age_seconds",
        "Seconds from the time that a request names to its first receipt being durable.",
    )

    version = _gauge("ifrud_version", "Number of the newest version published.")
    published = _gauge("ifrud_version_timestamp_seconds", "When the newest version was published.")
    versions = _gauge("ifrud_store_versions", "Versions that the store holds, from the newest collection on.")
    residual = _gauge(
        "ifrud_residual_influence",
        "Share of the newest batch's influence that is still in the model, from 0 to 1.",
    )
    tolerance = _gauge("ifrud_engine_tolerance", "The residual influence that a batch may be published with.")
    residual_total = _gauge(
        "ifrud_residual_influence_carried",
        "Share of the influence of all deletions since the last full retrain that is still in the model.",
    )
    rms_bound = _gauge(
        "ifrud_proof_rms_bound",
        "Proven bound on the RMS difference in predicted probability to the retrained model; NaN where unproven.",
    )
    proof_version = _gauge("ifrud_proof_version", "Number of the version that the bound is of.")
    proof_age = _gauge(
        "ifrud_proof_age_seconds",
        "Seconds since that version was published; 0 while no version after it has moved the model.",
    )
    proven_share = _gauge(
        "ifrud_proven_requests_share",
        "Share of the newest requests (1,000 at most, since the start) of whose pairs a bound of their own is proven.",
    )
    worst_left = _gauge(
        "ifrud_proven_requests_worst_left",
        "The most that is left of any of them, proven, as a share of the change that the request made.",
    )
    auc = _gauge(
        "ifrud_holdout_auc",
        "AUC of the newest version on the held-out interactions that remain; NaN where it was not measured.",
    )
    retained = _gauge("ifrud_retained_interactions", "Interactions retained, by table.", "table", _TABLES)
    oldest_erased = _gauge(
        "ifrud_oldest_erased_age_seconds",
        "Age of the oldest erasure whose rows some version in the store still holds; 0 where there is none.",
    )
    held = _gauge("ifrud_held_requests", "Requests that are held until somebody approves or rejects them.")
    held_since = _gauge(
        "ifrud_held_oldest_timestamp_seconds", "Since when the oldest of them is held; NaN where none is."
    )
    lag = _gauge(
        "ifrud_source_lag", "What the source holds beyond the newest version: events on Kafka, bytes in a file."
    )
    oldest_open = _gauge(
        "ifrud_oldest_open_request_timestamp_seconds",
        "The time of the oldest request that was read and is not answered, or is held; NaN while there is none.",
    )
    nearest_deadline = _gauge(
        "ifrud_nearest_deadline_timestamp_seconds",
        "The nearest deadline of requests that were read and are not answered, or are held; NaN while there is none.",
    )
    ready = _gauge("ifrud_ready", "1 while the daemon takes requests and can answer them, else 0.")
    source_connected = _gauge(
        "ifrud_source_connected", "1 while the source answers, 0 where it has been away for `patience_s`."
    )
    source_answered = _gauge("ifrud_source_answered_timestamp_seconds", "When the source last answered.")
    store_connected = _gauge(
        "ifrud_store_connected", "1 while the store answers, 0 where it has been away for `patience_s`."
    )
    store_answered = _gauge("ifrud_store_answered_timestamp_seconds", "When the store last answered.")
    outbox_connected = _gauge(
        "ifrud_outbox_connected",
        "1 while an outbox (receipts, dead_letters) takes records, 0 where it has been away for `patience_s`.",
        "outbox",
    )
    build = _gauge("ifrud_build_info", "Always 1; the version of the package.", "version")
    settings = _gauge(
        "ifrud_settings_info", "Always 1; the start of the SHA-256 of all settings, secrets aside.", "digest"
    )
    model = _gauge("ifrud_model_info", "Always 1; the kind of the newest version's model.", "model")
    device = _gauge("ifrud_device_info", "Always 1; where updates are computed (cpu, cuda:0).", "device")

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        rows = [row for row in vars(Metrics).values() if isinstance(row, _Row)]
        self.by_name: dict[str, MetricWrapperBase] = {row.name: row.create(registry) for row in rows}


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
