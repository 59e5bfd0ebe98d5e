"""The daemon's process: it opens streams and store, runs the service, and ends with an exit code."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from importlib.metadata import version
from uuid import uuid4

import structlog
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from ifru.engine.engine import Engine
from ifru.engine.settings import EngineSettings
from ifru.engine.supported import UnsupportedSupport
from ifru.engine.update import Carried
from ifru.errors import IfruError
from ifru.evaluation.chosen_pairs import check_provable
from ifru.kernels.device import UnsupportedDevice, device_of
from ifru.kernels.dispatch import concurrent
from ifru.models import ModelConfig, model_of
from ifru.models.factory import use_module
from ifru.proof import ProofError
from ifru.snapshots import (
    Manifest,
    NoVersion,
    Reader,
    Retention,
    Store,
    Version,
    Writer,
    debt_of,
    duration,
    hash_key_of,
    open_store,
    outside_hash_key,
    probe,
)
from ifru.stores.versioned import VERSIONED, keeps_versions
from ifru.suppression import Suppression
from ifru.training.ahead import warm_up_helped
from ifrud.adoption import Adoption
from ifrud.attended import AttendedOutbox, AttendedStore
from ifrud.batcher import Batcher
from ifrud.cgroup import memory_limit
from ifrud.collecting import Collecting
from ifrud.exits import Exit, exit_for
from ifrud.freed import collect_rarely, return_at_once
from ifrud.full_versions import FullVersions, dated
from ifrud.housekeeping import Housekeeping
from ifrud.lookout import Lookout
from ifrud.memory import Memory
from ifrud.model import Model
from ifrud.observe.admin import AdminServer, admin_app, bind, write_address
from ifrud.observe.metrics import Metrics, Stopwatch
from ifrud.observe.page.older import Older
from ifrud.observe.report import Reporter
from ifrud.observe.status import Board, Status
from ifrud.patience import Patience
from ifrud.pipeline import Pipeline, Streams
from ifrud.problems import InvalidSettings
from ifrud.proofs import Proofs
from ifrud.prover import Prover
from ifrud.requests.answered_loading import load_answered
from ifrud.requests.brake import Brake
from ifrud.requests.changes import Changes
from ifrud.requests.dead_letters import Letters
from ifrud.requests.intake import Decoder
from ifrud.requests.proven import RequestProofs
from ifrud.requests.purges import Purges
from ifrud.service import IdleWork, Service
from ifrud.settings import Settings
from ifrud.stop_signals import StopSignals
from ifrud.stored import Stored
from ifrud.streams.outboxes import open_outbox
from ifrud.streams.sources import open_source

RETRY_SECONDS, ANSWER_SECONDS = 5.0, 10.0
"""How long the store's client repeats a request by itself, and waits for an answer: the daemon's heart does not beat
meanwhile."""

log = structlog.stdlib.get_logger("ifrud")


def _attempt() -> str:
    return uuid4().hex


def _utc() -> datetime:
    return datetime.now(UTC)


def run_daemon(settings: Settings, drain: bool, stop: StopSignals) -> Exit:
    """Run until drained, told to stop, or unable to go on. The last line of the log says why it ended."""
    try:
        with ExitStack() as stack:
            _serve(settings, drain, stop, stack)
    except IfruError as error:
        return _failed(error)
    except Exception:
        log.exception("stopped by a bug of ifrud; please report it with this traceback", exit_code=int(Exit.BUG))
        return Exit.BUG
    log.info(f"stopped: {stop.name or 'drained'}", exit_code=int(Exit.OK))
    return Exit.OK


def _failed(error: IfruError) -> Exit:
    code = exit_for(error)
    log.error(f"stopped: {error}", exit_code=int(code), error=type(error).__name__)
    return code


def _serve(settings: Settings, drain: bool, stop: StopSignals, stack: ExitStack) -> None:
    reporter = _reporter(settings)
    if settings.model is not None:
        use_module(settings.model)
    admin = _admin(settings, reporter, stack)
    store = open_store(settings.store, RETRY_SECONDS, ANSWER_SECONDS)
    probe(store, _attempt())
    if settings.collect.older_than is not None and keeps_versions(store, _attempt()):
        log.warning(f"old versions are collected, but {VERSIONED}")
    streams = _streams(settings, stack)
    collect_rarely()
    limit = settings.memory_bytes or memory_limit()
    if limit is not None:
        return_at_once()
    memory = Memory(limit, settings.engine.cache_bytes)
    prover = stack.enter_context(closing(Prover(memory)))
    service = assemble(settings, store, streams, reporter, prover, memory=memory, check=admin.check)
    stop.started()
    service.run(stop, drain)


def assemble(
    settings: Settings,
    store: Store,
    streams: Streams,
    reporter: Reporter,
    prover: Prover,
    *,
    memory: Memory | None = None,
    check: Callable[[], None] = lambda: None,
    now: Callable[[], float] = time.monotonic,
    utc: Callable[[], datetime] = _utc,
    wait: Callable[[float], None] = time.sleep,
    attempt: Callable[[], str] = _attempt,
) -> Service:
    """A service on the newest version of a store.

    memory: for the engine, and for the prover as well; None: no limit. check: raises where another thread has died.
    now: seconds, never going back. utc: the time of day. wait: sleeps. attempt: a name that was never used before.

    Raises NoVersion, CorruptFile, StoreError or InvalidSettings.
    """
    contacts, beat = reporter.board.contacts, reporter.board.beat
    patience, memory = Patience(wait, beat), memory or Memory(None, settings.engine.cache_bytes)
    attended = AttendedStore(store, contacts["store"], patience)
    reader = Reader(attended)
    newest = dated(reader.load(), reader)
    manifest = newest.manifest
    reader.check_parent(manifest)
    writer = Writer(attended, utc, attempt, persist=patience)
    engine = partial(_engine, settings=settings.engine, memory=memory, beat=beat)
    full = FullVersions(settings.full_every, timedelta(seconds=settings.full_after_s), utc)
    key = hash_key_of(attended, manifest.hash_key_id, _outside_key(settings))
    suppression = Suppression(key, (reader.suppressed(manifest),))
    model = Model(newest, reader, writer, engine, full, suppression)
    reporter.metrics.device.labels(str(model.engine.state.objective.device)).set(1)
    answered = load_answered(reader, manifest, key, settings.remember_days, utc(), beat)
    memory.remembered = partial(getattr, answered, "nbytes")
    brake = Brake.load(reader, manifest, answered, settings.brake_share)
    letters = Letters(streams.source.name, utc, settings.dead_letters_payload)
    streams = Streams(
        streams.source,
        AttendedOutbox(streams.receipts, contacts["receipts"], patience),
        AttendedOutbox(streams.dead_letters, contacts["dead_letters"], patience),
    )
    changes = Changes(settings.decode, streams.source.name)
    decoder = Decoder(letters, changes, settings.max_event_bytes, settings.max_consecutive_bad)
    prove = settings.prove and _proving(manifest.model)
    quick = AttendedStore(store, contacts["store"])
    housekeeping = _housekeeping(settings, quick, reporter, now, utc)
    wanted = prove and settings.prove_requests and _pairs_provable(manifest.model)
    proven = RequestProofs(model, Reader(quick), reporter.metrics, now, utc, settings.purge_receipts_s, wanted)
    pipeline = Pipeline(model, reader, answered, brake, streams, decoder, reporter, housekeeping.purges, proven, utc)

    def state(quality: Mapping[str, float]) -> None:
        pipeline.state(quality, Stopwatch(reporter.metrics, now))

    return Service(
        pipeline=pipeline,
        batcher=Batcher(settings.batch, settings.publish.min_interval_ms / 1000),
        idle=IdleWork(settings.refine, _refined(reader, manifest), prove, settings.refine_after_ms / 1000),
        reporter=reporter,
        proofs=Proofs(model, prover, proven, reporter, state, settings.prove_share),
        lookout=Lookout(quick, now),
        housekeeping=housekeeping,
        adoption=Adoption(pipeline, attended, quick, patience, now, utc),
        patience=patience,
        now=now,
        check=check,
    )


def _housekeeping(
    settings: Settings, store: Store, reporter: Reporter, now: Callable[[], float], utc: Callable[[], datetime]
) -> Housekeeping:
    stored = Stored(store, now, utc)
    reporter.metrics.oldest_erased.set_function(stored.age)
    reporter.metrics.versions.set_function(lambda: stored.versions)
    older_than = settings.collect.older_than
    retention = None if older_than is None else Retention(duration(older_than), settings.collect.keep)
    return Housekeeping(
        stored,
        Collecting(store, retention, now, utc, reporter),
        Purges(store, now, settings.purge_receipts_s, reporter.purges_failed),
    )


def _outside_key(settings: Settings) -> bytes | None:
    key = None if settings.hash_key is None else settings.hash_key.get_secret_value()
    return outside_hash_key(key, settings.hash_key_file)


def _refined(reader: Reader, newest: Manifest) -> bool:
    """Whether the newest version, claims aside, is a training, a refinement or a proof, and answers no requests."""
    try:
        done = newest if newest.claims is None else reader.manifest(newest.claims)
    except NoVersion:
        # It was collected; to refine once more does no harm.
        return False
    return len(done.events) == 0


def _proving(config: ModelConfig) -> bool:
    if not model_of(config).capabilities.provable:
        log.info(f"versions of this model are not proven: there is no proof for {config.name!r}")
    elif not concurrent():
        log.warning("versions are not proven beside updates: install GNU OpenMP (libgomp1), which this machine lacks")
    return concurrent()


def _pairs_provable(config: ModelConfig) -> bool:
    try:
        check_provable(config)
    except ProofError:
        return False
    return True


def _reporter(settings: Settings) -> Reporter:
    status = Status(started=_utc(), store=settings.store, source=settings.events)
    board = Board(status, settings.patience_s, time.monotonic, _utc)
    metrics = Metrics(CollectorRegistry())
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=metrics.registry)
    metrics.build.labels(version("ifru")).set(1)
    metrics.settings.labels(sha256(settings.model_dump_json().encode()).hexdigest()[:12]).set(1)
    metrics.tolerance.set(settings.engine.tolerance)
    return Reporter(board, metrics, _utc)


def _admin(settings: Settings, reporter: Reporter, stack: ExitStack) -> AdminServer:
    admin = settings.admin
    token = None if admin.token is None else admin.token.get_secret_value()
    older = Older(partial(open_store, settings.store, RETRY_SECONDS, ANSWER_SECONDS))
    registry, board = reporter.metrics.registry, reporter.board
    app = admin_app(board, registry, admin.stalled_after_s, token, older, admin.runbooks)
    server = AdminServer(app, bind(admin.host, admin.port))
    server.start()
    stack.callback(server.stop)
    if admin.file is not None:
        write_address(admin.file, server.url)
    log.info(f"admin port: {server.url}", url=server.url)
    return server


def _compiling() -> None:
    log.info("compiling, since this is a first start here: it takes some seconds, and `ifru compile` does it ahead")


def _engine(newest: Version, settings: EngineSettings, memory: Memory, beat: Callable[[], None]) -> Engine:
    model, residual = newest.manifest.model, newest.manifest.residual
    carried = Carried(residual.batch_energy, residual.added_energy)
    try:
        device = device_of(settings.device)
        warm_up_helped(model, device, newest.parameters.computed_in, _compiling)
        if device.type == "cpu":
            cache_bytes = memory.for_cache(model, newest.parameters, newest.dataset)
            settings = settings.model_copy(update={"cache_bytes": cache_bytes})
        parameters, dataset, debt = newest.parameters, newest.dataset, debt_of(newest)
        return Engine(model, parameters, dataset, settings, device, carried, debt, beat=beat)
    except UnsupportedDevice as error:
        raise InvalidSettings([f"engine.device: {error}"]) from None
    except UnsupportedSupport as error:
        raise InvalidSettings([str(error)]) from None


def _streams(settings: Settings, stack: ExitStack) -> Streams:
    opened = open_source(settings.events, settings.kafka, accept_lost=settings.accept_lost)
    source = stack.enter_context(closing(opened))
    outboxes = (
        stack.enter_context(closing(open_outbox(url, settings.kafka)))
        for url in (settings.receipts, settings.dead_letters)
    )
    return Streams(source, *outboxes)
