"""A process that starts claims the prefix, so that the one before it publishes nothing any more."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

import pytest
import torch

from ifru.snapshots import CommitLost, Reader
from ifrud.streams.outboxes import Outbox, Record, open_outbox
from tests.daemon.world import World, distinct, erase_user
from tests.fixtures.failing_store import Crash, FailingStore, Operation, RecordingStore

ONE_BY_ONE = {"batch": {"max_requests": 1, "max_backlog": 1}}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_claim_changes_nothing_but_the_epoch(world: World) -> None:
    world.submit(erase_user("r1", 3))
    world.drain()
    before = world.newest()
    world.drain()
    after = world.newest()
    old, new = before.manifest, after.manifest
    assert (new.version, new.parent_sha256, new.epoch) == (old.version + 1, old.sha256, old.epoch + 1)
    assert (new.claims, new.events, new.sources, new.quality) == (old.version, (), old.sources, old.quality)
    assert new.residual.model_copy(update={"settled": None, "total": None}) == old.residual.model_copy(
        update={"settled": None, "total": None}
    )
    assert (new.retained, new.holdout) == (old.retained, old.holdout)
    assert torch.equal(after.parameters.stacked(), before.parameters.stacked())


def test_claims_in_a_row_name_the_version_that_is_none(world: World) -> None:
    for _ in range(3):
        world.drain()
    assert [(manifest.claims, manifest.epoch) for manifest in world.manifests()] == [(None, 0), (1, 1), (1, 2), (1, 3)]


class WatchedOutbox:
    """Sends on; `seen` holds the newest version at each send that has records."""

    def __init__(self, inner: Outbox, reader: Reader) -> None:
        self._inner, self._reader = inner, reader
        self.seen: list[int] = []

    def send(self, records: Sequence[Record]) -> None:
        if records:
            self.seen.append(self._reader.newest())
        self._inner.send(records)

    def close(self) -> None:
        self._inner.close()


def test_receipts_are_repeated_before_the_claim_so_that_every_version_but_the_newest_has_sent_its_own(
    world: World,
) -> None:
    world.submit(erase_user("r1", 3))
    world.drain()
    answering = world.newest().manifest.version
    outbox = WatchedOutbox(open_outbox(world.settings().receipts), Reader(world.store))
    world.drain(receipts=outbox)
    world.drain(receipts=outbox)
    assert outbox.seen == [answering]


@pytest.mark.parametrize("refine", [True, False])
def test_a_crash_right_after_the_claim_loses_no_refinement(world: World, refine: bool) -> None:
    world.submit(erase_user("r1", 3))
    world.drain(engine={"tolerance": 0.5})
    answering = world.newest().manifest.version
    # Delta, ledger, manifest: the hint is not written any more.
    with pytest.raises(Crash):
        world.drain(store=FailingStore(world.store, crash=(2, "after")))
    assert world.newest().manifest.claims == answering
    world.idle(until=lambda: not refine or len(world.done()) > 2, refine=refine, engine={"tolerance": 0.5})
    assert [manifest.residual.method for manifest in world.done()[2:]] == ["global"] * refine


def test_what_was_refined_is_not_refined_again_after_claims(world: World) -> None:
    world.submit(erase_user("r1", 3))
    engine = {"tolerance": 0.5, "steps": 1, "products": 1}
    world.idle(until=lambda: len(world.done()) > 2, refine=True, engine=engine)
    refined = world.done()
    assert (refined[-1].residual.influence or 0) > 0.0005, "nothing would be left to refine"
    world.drain()
    world.idle(refine=True, engine=engine)
    assert world.done() == refined


class Pause:
    """Ahead of the n-th access to a store, another process takes over, answers everything, and ends."""

    def __init__(self, world: World, access: int) -> None:
        self._world, self._access = world, access
        self._count, self._lock = itertools.count(), Lock()
        self.published: int | None = None

    def __call__(self, operation: Operation, path: str) -> None:
        with self._lock:
            if next(self._count) == self._access:
                self._world.drain(**ONE_BY_ONE)
                self.published = self._world.newest().manifest.version
                # The first process is not to find that everything was done.
                self._world.submit(erase_user("last", 20))


def test_whoever_sleeps_at_any_access_while_another_takes_over_publishes_nothing_more(tmp_path: Path) -> None:
    for access in itertools.count():
        folder = tmp_path / str(access)
        folder.mkdir()
        if not slept(World(folder), access):
            assert access > 4 * 3, "the service has hardly used its store"
            return


def slept(world: World, access: int) -> bool:
    """Whether a process still lived at its n-th access to the store, where it sleeps while another takes over."""
    world.submit(*(erase_user(f"r{number}", number) for number in range(3)))
    # Both are at version 1; only what the first does from then on is counted.
    store, pause = RecordingStore(world.store), Pause(world, access)
    service = world.service(store=store, **ONE_BY_ONE)
    store.before = pause
    try:
        service.run(lambda: pause.published is None and len(world.done()) == 4, drain=False)
    except CommitLost:
        assert world.newest().manifest.version == pause.published
        reader = Reader(world.store)
        kept = {line for number in range(1, reader.newest() + 1) for line in reader.receipts(number)}
        assert set((world.folder / "receipts.jsonl").read_bytes().splitlines()) <= kept
        assert {name: len(ids) for name, ids in distinct(world.receipts()).items()} == {"r0": 1, "r1": 1, "r2": 1}
        return True
    assert pause.published is None
    return False
