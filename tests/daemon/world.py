"""A small trained model in a store, and the daemon's service on it, in this process."""

from __future__ import annotations

import itertools
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from prometheus_client import CollectorRegistry

from ifru.interactions import Dataset
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import Recorded, split
from ifru.models import MFConfig, ModelConfig
from ifru.objective.parameters import Parameters
from ifru.snapshots import FullState, Manifest, Reader, Residual, Store, Version, Writer, debt_buffers, open_store
from ifru.training import fit
from ifrud.observe.metrics import Metrics
from ifrud.observe.report import Reporter
from ifrud.observe.status import Board, Status
from ifrud.pipeline import Streams
from ifrud.process import assemble
from ifrud.prover import Prover
from ifrud.service import Service
from ifrud.settings import Settings
from ifrud.streams.outboxes import Outbox, open_outbox
from ifrud.streams.sources import Source, open_source

USERS, ITEMS, ROWS = 40, 30, 600
CONFIG = MFConfig(rank=4, l2=0.1)
TIME = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
DAY = 86_400_000_000
"""In microseconds."""
MORE_POLLS = 5
PATIENCE = 120.0
Pair = tuple[str, str]
_numbers = itertools.count()


@cache
def _trained() -> tuple[Parameters, Dataset]:
    random = np.random.default_rng(0)
    pairs = random.permutation(USERS * ITEMS)[:ROWS]
    user, item = (pairs // ITEMS).astype(np.int32), (pairs % ITEMS).astype(np.int32)
    liked = random.normal(size=(USERS, 3)) @ random.normal(size=(3, ITEMS)) > 0
    names = [f"user {n}" for n in range(USERS)], [f"item {n}" for n in range(ITEMS)]
    recorded = Recorded(user, item, liked[user, item].astype(np.float64), None, *names)
    dataset = split(recorded, LabelRule.parse("liked"), holdout=0.2, seed=0)
    trained = fit(dataset.train, CONFIG, seed=0, device=torch.device("cpu"), dtype=torch.float32)
    return Parameters.unstacked(trained.theta, USERS), dataset


def trained_dataset(timed: bool = False) -> Dataset:
    """What the small model was trained on. timed: whether each row is a DAY after the one before it."""
    dataset = _trained()[1].copy()
    for table in (dataset.train, dataset.holdout) if timed else ():
        table.time = np.arange(len(table)) * DAY
    return dataset


QUIET: Mapping[str, Any] = {"refine": False, "prove": False, "brake_share": 1}
NO_WEIGHTS: Mapping[int, float] = {}


def start(
    store: Store,
    config: ModelConfig = CONFIG,
    weights: Mapping[int, float] = NO_WEIGHTS,
    parameters: Parameters | None = None,
    debt: Parameters | None = None,
    timed: bool = False,
    attempt: str | None = None,
) -> Manifest:
    """Version 1 of the small model. weights: of training rows, where not 1. parameters: of another model.

    debt: what it owes, where its answers are responses. timed: as in `trained_dataset`.
    attempt: a name that was never used.
    """
    tables, dataset = _trained()[0], trained_dataset(timed)
    dataset.train.weight = dataset.train.weight.copy()
    dataset.train.weight[list(weights)] = list(weights.values())
    residual = Residual(
        influence=None,
        settled=None,
        total=0.0,
        batch_energy=0.0,
        added_energy=0.0,
        method="training",
        reason="tolerance",
    )
    writer = Writer(store, lambda: TIME, lambda: attempt or f"start-{next(_numbers)}")
    return writer.start(
        FullState(config, parameters or tables, dataset.copy(), buffers=debt_buffers(debt)), {}, residual
    )


def unbearable(user: int) -> tuple[dict[int, float], list[Pair]]:
    """Weights of a user's training rows, and pairs to erase that leave the engine a block without a minimum."""
    train, users, items = _trained()[1].train, _trained()[1].users, _trained()[1].items
    rows = np.flatnonzero(train.user == user)
    name = str(users.name(user))
    weights = {int(row): 50.0 for row in rows[1:]} | {int(rows[0]): -2.0}
    return weights, [(name, str(items.name(int(train.item[row])))) for row in rows[1:]]


def pairs(dataset: Dataset) -> Counter[Pair]:
    """What a data set retains, as external ids."""
    found: Counter[Pair] = Counter()
    for part in (dataset.train, dataset.holdout):
        for row in np.flatnonzero(part.alive):
            names = dataset.users.name(int(part.user[row])), dataset.items.name(int(part.item[row]))
            assert names[0] is not None
            assert names[1] is not None
            found[names[0], names[1]] += 1
    return found


def request(name: str, **content: object) -> bytes:
    return json.dumps({"id": name, "time": TIME.isoformat(), **content}).encode()


def erase_user(name: str, user: int) -> bytes:
    return request(name, type="erase_user", subject=f"user {user}")


def erase_pairs(name: str, chosen: Iterable[Pair]) -> bytes:
    return request(name, type="erase_interactions", interactions=list(chosen))


@dataclass
class World:
    """A folder with streams, and a store. Each `service` is what a new process would be."""

    folder: Path
    store: Store = field(default_factory=lambda: open_store(f"memory://daemon-{next(_numbers)}"))
    config: ModelConfig = CONFIG
    weights: Mapping[int, float] = field(default_factory=dict)
    parameters: Parameters | None = None
    debt: Parameters | None = None
    timed: bool = False

    def __post_init__(self) -> None:
        self.first = start(self.store, self.config, self.weights, self.parameters, self.debt, self.timed)

    def settings(self, **changes: Any) -> Settings:
        urls = {name: (self.folder / f"{name}.jsonl").as_uri() for name in ("events", "receipts", "dead_letters")}
        return Settings.model_validate({**urls, "store": "memory://", **QUIET, **changes})

    def submit(self, *payloads: bytes) -> None:
        with (self.folder / "events.jsonl").open("ab") as file:
            file.writelines(payload + b"\n" for payload in payloads)

    @staticmethod
    def reporter() -> Reporter:
        def utc() -> datetime:
            return datetime.now(UTC)

        status = Status(started=TIME, store="memory://", source="events.jsonl")
        board = Board(status, patience=PATIENCE, clock=time.monotonic, utc=utc)
        return Reporter(board, Metrics(CollectorRegistry()), utc)

    def service(
        self,
        store: Store | None = None,
        source: Source | None = None,
        receipts: Outbox | None = None,
        dead_letters: Outbox | None = None,
        reporter: Reporter | None = None,
        check: Callable[[], None] = lambda: None,
        wait: Callable[[float], None] = lambda seconds: None,
        prover: Prover | None = None,
        utc: Callable[[], datetime] = lambda: datetime.now(UTC),
        **changes: Any,
    ) -> Service:
        settings = self.settings(**changes)
        streams = Streams(
            source or open_source(settings.events, accept_lost=settings.accept_lost),
            receipts or open_outbox(settings.receipts),
            dead_letters or open_outbox(settings.dead_letters),
        )
        reporter, prover = reporter or self.reporter(), prover or Prover()
        return assemble(settings, store or self.store, streams, reporter, prover, check=check, utc=utc, wait=wait)

    def drain(self, **changes: Any) -> None:
        """A process that runs until what is there has been published."""
        self.service(**changes).run(lambda: False, drain=True)

    def idle(self, until: Callable[[], bool] = lambda: True, **changes: Any) -> None:
        """A process that is left alone until something holds, and for some more polls, which do not wait."""
        polls, end = itertools.count(), time.monotonic() + PATIENCE
        source = open_source(self.settings().events, wait=lambda seconds: None)

        def stop() -> bool:
            assert time.monotonic() < end, "what idle time was to bring did not come"
            return until() and next(polls) >= MORE_POLLS

        self.service(source=source, refine_after_ms=0, **changes).run(stop, drain=False)

    def newest(self) -> Version:
        return Reader(self.store).load()

    def manifests(self) -> list[Manifest]:
        """Of all versions that were not collected."""
        reader = Reader(self.store)
        entries = [reader.entry(number) for number in range(1, reader.newest() + 1)]
        return [entry for entry in entries if isinstance(entry, Manifest)]

    def done(self) -> list[Manifest]:
        """What was published, without the claims of those who started."""
        return [manifest for manifest in self.manifests() if manifest.claims is None]

    def receipts(self) -> list[dict[str, object]]:
        return _lines(self.folder / "receipts.jsonl")

    def dead_letters(self) -> list[dict[str, object]]:
        return _lines(self.folder / "dead_letters.jsonl")


def _lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def distinct(receipts: Sequence[dict[str, object]]) -> dict[object, set[object]]:
    """request id -> ids of the receipts it got."""
    found: dict[object, set[object]] = {}
    for receipt in receipts:
        found.setdefault(receipt["request_id"], set()).add(receipt["id"])
    return found
