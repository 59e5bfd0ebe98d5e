"""What versions say besides their model goes on from one to the next, whatever that is written for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from ifru.cli.next_version import next_version
from ifru.snapshots import FullState, Reader
from ifru.snapshots.audit import audit
from ifru.snapshots.hash_key import KEY_BYTES
from ifru.suppression import Suppression
from ifrud.requests.receipts import Receipt
from ifrud.streams.outboxes import Outbox, Record, open_outbox
from tests.daemon.test_adoption import NEW, leave
from tests.daemon.test_answered import lines
from tests.daemon.test_brake import approve, states
from tests.daemon.test_purged import NOW, gone, purged
from tests.daemon.world import TIME, World, erase_user
from tests.fixtures.failing_store import Crash
from tests.simulation.rotation import rotate

LATE = {"full_after_s": 10**9, "purge_receipts_s": 10**9}


def retrained(world: World) -> None:
    newest, suppression = world.newest(), Suppression.read(world.store)
    state = FullState(newest.manifest.model, newest.parameters, newest.dataset)
    next_version(world.store, newest.manifest, state, NEW, {}, suppression, False)


def rekeyed(world: World) -> None:
    rotate(world.store, bytes(KEY_BYTES), lambda: TIME)


def adopted(world: World) -> None:
    leave(world)
    reporter = world.reporter()
    world.drain(**LATE, reporter=reporter)
    counted = {name: getattr(reporter.metrics, name).collect()[0].samples[0].value for name in ("adoptions", "proofs")}
    assert counted == {"adoptions": 1, "proofs": 0}
    assert reporter.metrics.refinements.collect()[0].samples[0].value == 0


def restated(world: World) -> None:
    world.idle(lambda: world.newest().manifest.oldest_erasure is None, **NOW)


def refined(world: World) -> None:
    world.idle(refine=True, **LATE)


@pytest.mark.parametrize("write", [retrained, adopted, restated, refined])
def test_what_is_held_suppressed_purged_and_known_goes_on_and_outlasts_a_collection(
    tmp_path: Path, write: Callable[[World], None]
) -> None:
    world = World(tmp_path)
    world.submit(erase_user("r1", 1))
    world.drain(**NOW)
    gone(world)
    world.idle(lambda: purged(world) == {"r1"}, **NOW)
    world.submit(erase_user("r2", 2))
    world.drain(brake_share=0, **LATE)
    world.submit(erase_user("r3", 3))
    world.drain(**LATE)
    before, listed = world.newest().manifest, Suppression.read(world.store).whole
    assert before.oldest_erasure is not None
    assert min(before.purged, len(before.held), len(before.erased_recently), len(listed)) > 0

    write(world)
    gone(world)
    after = world.newest().manifest
    assert after.version > before.version
    for name in ("purged", "held", "pending", "erased_recently", "hash_key_id", "positions"):
        assert getattr(after, name) == getattr(before, name), name
    assert (after.oldest_erasure is None) == (after.base > before.version)
    found = Suppression.read(world.store).whole
    assert (found.kind.tolist(), found.hash.tolist()) == (listed.kind.tolist(), listed.hash.tolist())
    assert len(Reader(world.store).pending(after)) == 1

    world.submit(erase_user("r1", 1), erase_user("r3", 3), approve("yes", "r2"))
    world.drain(brake_share=0, **LATE)
    assert states(world)["r2"] == ["held", "published"]
    assert [len(lines(world, name)) for name in ("r1", "r3")] == [2, 1 + ("r3" in purged(world))]
    assert {f"user {user}" for user in (1, 2, 3)}.isdisjoint(world.newest().dataset.users)


class _Dying:
    """Receipts of a process that dies when it sends the first one."""

    def __init__(self, inner: Outbox) -> None:
        self._inner = inner

    def send(self, records: Sequence[Record]) -> None:
        if records:
            raise Crash
        self._inner.send(records)

    def close(self) -> None:
        self._inner.close()


@pytest.mark.parametrize("write", [retrained, rekeyed])
def test_receipts_that_a_dead_process_has_not_sent_outlast_the_version_of_a_command(
    tmp_path: Path, write: Callable[[World], None]
) -> None:
    world = World(tmp_path)
    world.submit(erase_user("r1", 1))
    with pytest.raises(Crash):
        world.drain(receipts=_Dying(open_outbox(world.settings().receipts)), **LATE)
    assert not (world.folder / "receipts.jsonl").exists() or lines(world, "r1") == set()
    write(world)
    world.drain(**LATE)
    [told] = [Receipt.read(line) for line in lines(world, "r1")]
    assert told.state == "published"
    assert audit(world.store).problems == ()
