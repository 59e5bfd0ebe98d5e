"""What is erased goes from every file of the store in time, and who asked for it is told."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from ifru.errors import IfruError
from ifru.snapshots import FullState, Manifest, Reader, Retention, candidates, collect, newest_purge, open_store
from ifrud.collecting import Collecting
from ifrud.requests.purges import CHUNK, Purges
from tests.daemon.test_answered import lines
from tests.daemon.world import World, erase_user, request
from tests.fixtures.dying_store import contents, copied
from tests.fixtures.failing_store import Crash, FailingStore, Fault

START = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
AT_ONCE = Retention(timedelta(0))
ALONE = {"batch": {"max_requests": 1, "max_backlog": 1}}
LATER = 4
"""Polls after which a process has looked at all that there is."""

WRITES = 8
"""Of a claim, and of the version that is written for receipts: delta, ledger, manifest and hint of each."""

NOW = {"full_after_s": 0, "purge_receipts_s": 0}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def at(hours: float) -> Callable[[], datetime]:
    return lambda: START + timedelta(hours=hours)


def gone(world: World) -> None:
    """All that is not the newest version or what it stands on is collected."""
    collect(world.store, AT_ONCE, lambda: datetime.now(UTC) + timedelta(days=1000))


def test_a_version_that_erases_after_the_oldest_erasure_of_the_base_is_old_enough_is_full(world: World) -> None:
    for hours, user in ((0, 1), (20, 2), (25, 3), (26, 4)):
        world.submit(erase_user(f"r{user}", user))
        world.drain(utc=at(hours))
    kinds = {manifest.version: manifest.kind for manifest in world.done()}
    assert list(kinds.values()) == ["full", "delta", "delta", "full", "delta"]
    assert world.newest().manifest.oldest_erasure == at(26)()


def test_with_no_time_at_all_every_version_that_erases_is_full_and_no_other(world: World) -> None:
    world.submit(erase_user("r1", 1), erase_user("r2", 1), erase_user("r3", 3))
    world.drain(**ALONE, full_after_s=0)
    assert [manifest.kind for manifest in world.done()] == ["full", "full", "delta", "full"]
    assert world.newest().manifest.oldest_erasure is None


def test_a_daemon_that_is_idle_writes_what_it_has_anew_once_the_time_has_come(world: World) -> None:
    world.submit(erase_user("r1", 1))
    world.drain(utc=at(0))
    world.idle(utc=at(23))
    assert [manifest.kind for manifest in world.done()] == ["full", "delta"]
    world.idle(utc=at(24))
    world.idle(utc=at(1000))
    anew = world.done()[2:]
    assert [(manifest.kind, manifest.events) for manifest in anew] == [("full", ())]
    assert anew[0].residual.influence == world.done()[1].residual.influence
    newest = Reader(world.store).load(anew[0].version)
    assert newest.dataset.users.row("user 1") is None
    assert len(newest.dataset.train) == newest.manifest.retained


def test_a_version_of_a_release_that_did_not_date_erasures_counts_from_its_base(world: World) -> None:
    world.submit(erase_user("r1", 1))
    world.drain(utc=at(0))
    newest = world.newest().manifest
    world.store.put("HEAD.json", b"{}")
    undated = newest.model_dump_json(exclude={"oldest_erasure"}).encode()
    world.store.put(f"manifests/{newest.version:012d}.json", undated)
    world.drain(utc=at(0.1))
    assert world.newest().manifest.oldest_erasure == world.first.time


def test_a_request_is_told_once_that_what_it_erased_is_gone_and_a_new_process_repeats_the_same(world: World) -> None:
    world.submit(erase_user("r1", 1), erase_user("r2", 1000), erase_user("r3", 3))
    world.drain(**NOW)
    world.idle(**NOW)
    assert states(world, "r1") == ["published"]
    gone(world)
    world.idle(lambda: len(states(world, "r1")) > 1, **NOW)
    newest, purge = world.done()[-1], newest_purge(world.store)
    assert purge is not None
    assert newest.purged == purge.version
    assert (states(world, "r1"), states(world, "r2")) == (["published", "purged"], ["nothing_to_erase"])
    for _ in range(2):
        world.drain()
    assert [len(lines(world, request)) for request in ("r1", "r2", "r3")] == [2, 1, 2]
    said = next(receipt for receipt in world.receipts() if receipt["state"] == "purged")
    assert (said["version"], said["residual_influence"]) == (3, None)
    assert datetime.fromisoformat(str(said["time"])) == purge.time


def states(world: World, request: str) -> list[object]:
    """What a request was told, each once, in order."""
    return list(dict.fromkeys(said["state"] for said in world.receipts() if said["request_id"] == request))


def test_receipts_of_what_was_purged_wait_for_the_next_version_while_they_may(world: World) -> None:
    world.submit(erase_user("r1", 1))
    world.drain(full_after_s=0)
    gone(world)
    world.idle(purge_receipts_s=10**6)
    assert states(world, "r1") == ["published"]
    polls = itertools.count()

    def answered() -> bool:
        if next(polls) == LATER:
            world.submit(erase_user("r9", 9))
        return bool(states(world, "r9"))

    world.idle(answered, purge_receipts_s=10**6)
    newest = world.done()[-1]
    assert (len(newest.events), newest.purged) == (1, 3)
    assert states(world, "r1") == ["published", "purged"]


def test_many_requests_are_told_little_by_little(world: World) -> None:
    world.submit(*(erase_user(f"r{number}", number % 20) for number in range(CHUNK + 4)))
    world.drain(**ALONE, full_every=10, full_after_s=10**6)
    world.idle(utc=lambda: datetime.now(UTC) + timedelta(days=30))
    gone(world)
    world.idle(lambda: len(purged(world)) == 20, **NOW)
    assert world.newest().manifest.purged == newest_purge(world.store).version  # type: ignore[union-attr]


def purged(world: World) -> set[object]:
    return {said["request_id"] for said in world.receipts() if said["state"] == "purged"}


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_process_that_dies_at_any_write_is_followed_by_one_that_tells_it_once(
    world: World, when: Literal["before", "after"]
) -> None:
    world.submit(erase_user("r1", 1))
    world.drain(**NOW)
    gone(world)
    before, file = world.store, world.folder / "receipts.jsonl"
    receipts = file.read_bytes()
    for number in range(100):
        world.store = copied(before, open_store(f"memory://{uuid4().hex}"))
        file.write_bytes(receipts)
        try:
            dead = FailingStore(world.store, crash=(number, when))
            world.idle(lambda: len(purged(world)) == 1, store=dead, **NOW)
            break
        except Crash:
            world.idle(lambda: len(purged(world)) == 1, **NOW)
        assert (len(lines(world, "r1")), in_ledgers(world)) == (2, 1)
    assert number == WRITES


def in_ledgers(world: World) -> int:
    """How often versions say that something was purged."""
    reader = Reader(world.store)
    return sum(b'"purged"' in line for version in range(1, reader.newest() + 1) for line in reader.receipts(version))


@pytest.mark.parametrize("full_every", [1, 3])
def test_a_request_that_is_sent_again_gets_its_first_receipt_whatever_was_collected(
    world: World, full_every: int
) -> None:
    requests = [erase_user(f"r{number}", number) for number in range(5)] + [erase_user("r9", 1000)]
    world.submit(*requests)
    world.drain(**ALONE, full_every=full_every)
    world.idle(utc=lambda: datetime.now(UTC) + timedelta(days=2))
    gone(world)
    world.idle(lambda: len(purged(world)) == 5, **NOW)
    gone(world)
    world.submit(*requests)
    world.drain()
    assert [len(lines(world, f"r{number}")) for number in range(5)] == [2] * 5
    assert [len(lines(world, "r9")), len(world.dead_letters())] == [1, 0]


def test_the_daemon_collects_by_itself_where_it_is_told_to(world: World) -> None:
    world.submit(erase_user("r1", 1))
    world.drain(full_after_s=0)
    world.idle(**NOW)
    assert contents(world.store).keys() >= {file.path for file in world.first.files}
    world.idle(lambda: len(purged(world)) == 1, collect={"older_than": "0s"}, **NOW)
    assert not contents(world.store).keys() & {file.path for file in world.first.files if file.role != "ledger"}
    assert isinstance(world.newest().manifest, Manifest)


def test_a_collection_ends_where_something_else_is_to_be_done_and_goes_on_the_next_time(world: World) -> None:
    world.submit(erase_user("r1", 1))
    world.drain(full_after_s=0)
    before, polls = contents(world.store), itertools.count()
    collecting = Collecting(world.store, AT_ONCE, lambda: 0.0, at(1000), world.reporter())
    collecting.run(lambda: True)
    assert contents(world.store) == before
    collecting.run(lambda: next(polls) == LATER)
    assert collecting.due
    collecting.run(lambda: False)
    assert not collecting.due
    assert newest_purge(world.store) is not None


def test_a_candidate_that_is_older_than_what_is_purged_is_refused_and_the_status_says_why(world: World) -> None:
    world.submit(erase_user("r1", 1))
    world.drain(full_after_s=0)
    newest = world.newest()
    state = FullState(newest.manifest.model, newest.parameters, newest.dataset)
    residual, time = newest.manifest.residual, newest.manifest.time
    candidates.leave(world.store, "old", Reader(world.store).manifest(1), state, residual, {}, time)
    reporter = world.reporter()
    Collecting(world.store, AT_ONCE, lambda: 0.0, at(1000), reporter).run(lambda: False)
    assert world.store.list("candidates") == ["candidates/old/rejected.json"]
    status = reporter.board.status
    assert (status.candidates_refused, str(status.last_refused)[:4]) == (1, "old:")


def test_a_collection_that_fails_is_told_and_tried_again_and_requests_are_answered_meanwhile(world: World) -> None:
    world.submit(erase_user("r1", 1))
    world.drain(full_after_s=0)
    failing, polls = FailingStore(world.store, [Fault("delete", "data/", "before")]), itertools.count()

    def answered() -> bool:
        if next(polls) == LATER:
            world.submit(erase_user("r2", 2))
        return bool(states(world, "r2"))

    with capture_logs() as log:
        world.idle(answered, store=failing, collect={"older_than": "0s"})
    told = [line["event"] for line in log if line["event"].startswith("old versions are not collected: delete data/")]
    assert len(told) == 1
    assert newest_purge(world.store) is None


def test_a_ledger_that_cannot_be_read_is_told_and_its_receipts_come_once_it_can(world: World) -> None:
    world.submit(erase_user("r1", 1))
    world.drain(full_after_s=0)
    gone(world)
    newest, seconds, told = world.newest().manifest, itertools.count(0, 100), list[IfruError]()
    away = FailingStore(world.store, [Fault("get", "ledger/000000000003", "before", first=1)])
    purges = Purges(away, lambda: float(next(seconds)), 0.0, told.append)
    purges.look(newest)
    assert (len(told), purges.receipts, purges.read) == (1, (), 0)
    purges.look(newest)
    assert [receipt.request_id for receipt in purges.receipts] == ["r1"]
    assert (purges.read, purges.overdue()) == (3, True)


@pytest.mark.parametrize("wrong", ["30", "1w", "-1d", "", "123456d"])
def test_what_is_no_time_is_a_setting_that_is_wrong(world: World, wrong: str) -> None:
    with pytest.raises(ValueError, match="allowed are 30d, 12h, 5m, 0s"):
        world.settings(collect={"older_than": wrong})


def test_how_many_versions_are_stored_is_shown(world: World) -> None:
    reporter = world.reporter()
    world.submit(erase_user("r1", 1), erase_user("r2", 2))
    world.drain(batch={"max_requests": 1, "max_backlog": 1}, full_after_s=0)
    world.idle(reporter=reporter, utc=at(1))
    assert value(reporter.metrics.versions) == world.newest().manifest.version
    gone(world)
    reporter = world.reporter()
    world.idle(reporter=reporter, utc=at(2))
    manifests = [path for path in world.store.list("manifests") if b'"collected"' not in world.store.get(path)]
    assert value(reporter.metrics.versions) == len(manifests)


def test_the_age_of_the_oldest_erasure_that_is_stored_is_shown(world: World) -> None:
    reporter = world.reporter()
    age = reporter.metrics.oldest_erased
    world.idle(reporter=reporter, utc=at(0))
    assert value(age) == 0
    world.submit(erase_user("r1", 1000))
    world.drain(utc=at(1))
    world.submit(erase_user("r2", 2))
    world.drain(utc=at(2))
    world.submit(erase_user("r3", 3))
    world.drain(utc=at(3), full_after_s=0)
    reporter = world.reporter()
    assert value(reporter.metrics.oldest_erased) != value(reporter.metrics.oldest_erased)
    world.idle(reporter=reporter, utc=at(10))
    assert value(reporter.metrics.oldest_erased) == 8 * 3600
    gone(world)
    reporter = world.reporter()
    world.idle(reporter=reporter, utc=at(10))
    assert value(reporter.metrics.oldest_erased) == 0


def value(gauge: object) -> float:
    return float(gauge.collect()[0].samples[0].value)  # type: ignore[attr-defined]


def test_only_what_erased_is_told_that_it_is_purged_and_not_what_allowed_it(world: World) -> None:
    approve = request("yes", type="approve", request={"id": "r1", "source": ""})
    back = request("back", type="release", subject="user 3")
    world.submit(erase_user("r1", 1))
    world.drain(brake_share=0, **NOW)
    world.submit(approve, back)
    world.drain(brake_share=0, **NOW)
    said = {receipt["request_id"]: receipt for receipt in world.receipts()}
    assert {name: said[name]["state"] for name in said} == {
        "r1": "published",
        "yes": "published",
        "back": "published",
    }
    assert {name for name, receipt in said.items() if receipt.get("erased") is False} == {"yes", "back"}
    world.submit(approve, back)
    world.drain(brake_share=0, full_every=1)
    gone(world)
    world.idle(lambda: bool(purged(world)), **NOW)
    assert purged(world) == {"r1"}
    assert all(len({*lines(world, name)}) == 1 for name in ("yes", "back"))
