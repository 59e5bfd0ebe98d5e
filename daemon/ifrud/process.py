"""The process around the service: what is opened, in which order, and how it ends."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from types import FrameType
from uuid import uuid4

import structlog
import torch
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from ifru.engine.engine import Engine
from ifru.engine.settings import EngineSettings
from ifru.engine.update import Carried
from ifru.errors import IfruError
from ifru.snapshots import Reader, Store, Version, Writer, event_hash, open_store, probe, read_hash_key
from ifru.training.warm_up import warm_up
from ifrud.batcher import Batcher, BatchPolicy
from ifrud.exits import Exit, exit_for
from ifrud.model import Model
from ifrud.observe.admin import AdminServer, admin_app, bind, write_address
from ifrud.observe.logging import configure_logging
from ifrud.observe.metrics import Metrics
from ifrud.observe.report import Reporter
from ifrud.observe.status import Board, Status
from ifrud.pipeline import Ends, Knowledge, Pipeline
from ifrud.problems import InvalidSettings
from ifrud.prover import Prover
from ifrud.requests.answered import Answered
from ifrud.requests.intake import Gate
from ifrud.service import Idling, Service, Telling
from ifrud.settings import AdminSettings, BatchSettings, EngineSection, Settings
from ifrud.streams.outboxes import open_outbox
from ifrud.streams.sources import open_source

log = structlog.stdlib.get_logger("ifrud")


def run_daemon(settings: Settings, drain: bool) -> Exit:
    """Run until drained, told to stop, or unable to go on. What ended it is the last line of the log."""
    configure_logging(settings.log.level, sys.stderr)
    stop = StopSignals()
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


class StopSignals:
    """SIGTERM and SIGINT ask for a stop; a second one ends the process at once."""

    def __init__(self) -> None:
        self.name: str | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._received)

    def __call__(self) -> bool:
        return self.name is not None

    def _received(self, number: int, frame: FrameType | None) -> None:
        self.name = signal.Signals(number).name
        signal.signal(number, signal.SIG_DFL)


def _serve(settings: Settings, drain: bool, stop: StopSignals, stack: ExitStack) -> None:
    telling = _telling(settings)
    admin = _admin(settings.admin, telling, stack)
    store = open_store(settings.store)
    probe(store, _attempt())
    ends = _ends(settings, stack)
    prover = Prover(settings.engine.cache_bytes)
    stack.callback(prover.close)
    assemble(settings, store, ends, telling, prover, admin.check).run(stop, drain)


def assemble(
    settings: Settings,
    store: Store,
    ends: Ends,
    telling: Telling,
    prover: Prover,
    check: Callable[[], None] = lambda: None,
) -> Service:
    """A service on the newest version of a store. check: raises where another thread has died.

    Raises NoVersion, CorruptFile or StoreError.
    """
    gate = Gate(ends.source.name, settings.max_event_bytes, settings.max_consecutive_bad, _utc)
    return Service(
        pipeline=Pipeline(_knowledge(settings, store), ends, gate, telling.reporter, _utc),
        source=ends.source,
        batcher=Batcher(_policy(settings.batch)),
        idling=Idling(settings.refine, settings.prove, settings.refine_after_ms / 1000),
        telling=telling,
        now=time.monotonic,
        check=check,
        prover=prover,
    )


def _telling(settings: Settings) -> Telling:
    board = Board(Status(started=_utc(), store=settings.store, source=settings.events), time.monotonic)
    metrics = Metrics(CollectorRegistry())
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=metrics.registry)
    metrics.build.labels(version("ifru")).set(1)
    return Telling(board, metrics, Reporter(board, metrics, _utc))


def _admin(settings: AdminSettings, telling: Telling, stack: ExitStack) -> AdminServer:
    app = admin_app(telling.board, telling.metrics.registry, settings.stalled_after_s)
    server = AdminServer(app, bind(settings.host, settings.port))
    server.start()
    stack.callback(server.stop)
    if settings.file is not None:
        write_address(settings.file, server.url)
    log.info(f"admin port: {server.url}", url=server.url)
    return server


def _knowledge(settings: Settings, store: Store) -> Knowledge:
    reader = Reader(store)
    newest = reader.load()
    key = read_hash_key(store)
    model = Model(_engine(newest, settings.engine), newest.manifest, Writer(store, _utc, _attempt), settings.full_every)
    return Knowledge(
        model=model,
        answered=Answered(reader, newest.manifest, settings.remember_versions),
        keyed_hash=lambda request: event_hash(key, *request),
    )


def _engine(newest: Version, settings: EngineSection) -> Engine:
    device = _device(settings.device)
    warm_up(newest.manifest.model, device, (newest.tables.user.dtype,))
    return Engine(
        newest.manifest.model,
        newest.tables,
        newest.dataset,
        EngineSettings(**settings.model_dump(exclude={"device"})),
        device=device,
        carried=Carried(newest.manifest.residual.batch_energy, newest.manifest.residual.added_energy),
    )


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError):
        raise InvalidSettings([f"engine.device: {name!r} cannot be used here; allowed are auto and cpu"]) from None


def _ends(settings: Settings, stack: ExitStack) -> Ends:
    source = open_source(settings.events, settings.kafka, clock=time.time)
    stack.callback(source.close)
    receipts = open_outbox(settings.receipts, settings.kafka)
    stack.callback(receipts.close)
    dead_letters = open_outbox(settings.dead_letters, settings.kafka)
    stack.callback(dead_letters.close)
    return Ends(source, receipts, dead_letters)


def _policy(settings: BatchSettings) -> BatchPolicy:
    return BatchPolicy(
        max_requests=settings.max_requests,
        max_backlog=settings.max_backlog,
        max_bytes=settings.max_bytes,
        max_age=settings.max_age_ms / 1000,
        idle=settings.idle_ms / 1000,
    )


def _attempt() -> str:
    return uuid4().hex


def _utc() -> datetime:
    return datetime.now(UTC)
