"""One process: the real daemon on a real broker and a real bucket, until it is killed or has nothing left to do."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import wait
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import uuid4

from ifru.snapshots import open_store, probe
from ifrud.pipeline import Streams
from ifrud.process import ANSWER_SECONDS, RETRY_SECONDS, assemble
from ifrud.prover import RMS_BOUND, Prover
from ifrud.service import Service
from ifrud.settings import Settings
from ifrud.streams.outboxes import open_outbox
from ifrud.streams.sources import Source, open_source
from tests.acceptance.kills.points import Killer
from tests.acceptance.kills.wrappers import KillingOutbox, KillingSource, KillingStore
from tests.daemon.world import World

BATCH = 3
PATIENCE = 60.0
SPEED = 100.0
"""The daemon's seconds pass so much faster than the clock's: it looks more often, and idle time comes at once."""


@dataclass(frozen=True)
class Urls:
    """Where a daemon reads and writes."""

    store: str
    events: str
    receipts: str
    dead_letters: str

    def settings(self) -> Settings:
        batch = {"max_requests": BATCH, "max_backlog": BATCH, "idle_ms": 20 * SPEED, "max_age_ms": 200 * SPEED}
        urls = {name: getattr(self, name) for name in ("store", "events", "receipts", "dead_letters")}
        besides = {
            "full_every": 3,
            "refine_after_ms": 0,
            "brake_share": 0.05,
            "prove_share": 0,
            "prove_requests": False,
        }
        return Settings.model_validate({**urls, "batch": batch, **besides})


class WaitingProver(Prover):
    """Ends a proof that is given up before it returns: copied processes run compiled loops on one thread at a time."""

    def give_up(self) -> None:
        given_up = () if self._future is None else (self._future,)
        super().give_up()
        wait(given_up)


def live(urls: Urls, killer: Killer) -> None:
    """Run until all events are answered and what came of them is refined and proven."""
    settings = urls.settings()
    with ExitStack() as stack:
        store = KillingStore(open_store(settings.store, RETRY_SECONDS, ANSWER_SECONDS), killer)
        probe(store, uuid4().hex)
        source = stack.enter_context(closing(open_source(settings.events, settings.kafka)))
        receipts, letters = (
            stack.enter_context(closing(open_outbox(url, settings.kafka)))
            for url in (settings.receipts, settings.dead_letters)
        )
        streams = Streams(
            KillingSource(source, killer, BATCH),
            KillingOutbox(receipts, "receipts", killer),
            KillingOutbox(letters, "dead letters", killer),
        )

        def seed() -> int:
            killer.reached("during proof")
            return 0

        prover = stack.enter_context(closing(WaitingProver(fresh_seed=seed)))
        service = assemble(
            settings,
            store,
            streams,
            World.reporter(),
            prover,
            now=lambda: SPEED * time.monotonic(),
            utc=lambda: datetime.now(UTC),
        )
        # Where loops of two threads may not run at once a daemon proves nothing; here they do not.
        service.idle = replace(service.idle, prove=True)
        service.run(_done(service, source), drain=False)


def _done(service: Service, source: Source) -> Callable[[], bool]:
    """Whether nothing is left to do; asked once the service has resumed."""
    started = time.monotonic()
    end: dict[int, int] = {}

    def done() -> bool:
        assert time.monotonic() - started < PATIENCE, f"it has not come to an end in {PATIENCE} s"
        if not end:
            end.update(source.end())
        reached = all(service.pipeline.positions.get(partition, 0) >= to for partition, to in end.items())
        return reached and RMS_BOUND in service.pipeline.model.manifest.quality

    return done
