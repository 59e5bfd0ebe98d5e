"""Old versions are collected: what is retained can still be read, and what ends half-way is done again."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ifru.snapshots import (
    CommitLost,
    HistoryReplaced,
    Manifest,
    NoVersion,
    Reader,
    Retention,
    Store,
    StoreError,
    Writer,
    audit,
    collect,
    duration,
    encode_tombstone,
    newest_purge,
    open_store,
    waiting,
)
from ifru.snapshots.format import Tombstone, manifest_path
from ifru.stores.local import STAGING, LocalStore
from tests.fixtures.dying_store import contents, copied, dying
from tests.fixtures.failing_store import Crash, FailingStore, Fault, RecordingStore
from tests.snapshots.cases import TIME, Live, another_store, assert_same, writer

AT_ONCE = Retention(timedelta(0))
FULL = (4, 7)


def history(store: Store, versions: int = 9, full: Sequence[int] = FULL) -> Live:
    """One version a day, each of which erases a user; some of them full."""
    live, times, attempts = Live.new(users=12, rows=60), itertools.count(), itertools.count()
    by = Writer(store, lambda: TIME + timedelta(days=next(times)), lambda: f"writer-{next(attempts)}")
    manifest = live.start(by)
    for version in range(2, versions + 1):
        change = live.erase(version, event=version, full=version in full)
        receipt = f'{{"request_id": "{version}", "state": "published", "version": {version}}}'
        manifest = by.commit(manifest, replace(change, receipts=[receipt.encode()]))
    return live


def clock() -> datetime:
    return TIME + timedelta(days=100)


def left(store: Store) -> list[int]:
    """Versions that can be read."""
    entries = [Reader(store).entry(number) for number in range(1, Reader(store).newest() + 1)]
    for entry in entries:
        if isinstance(entry, Manifest):
            Reader(store).load(entry.version)
    return [entry.version for entry in entries if isinstance(entry, Manifest)]


def of_versions(store: Store, first: int, last: int) -> set[str]:
    """Paths of what versions or attempts at them have, but for manifests."""
    numbers = {f"{number:012d}-" for number in range(first, last + 1)}
    return {path for path in store.list("") if any(number in path for number in numbers)}


@pytest.mark.parametrize(
    ("older_than", "keep", "oldest", "base"),
    [("0s", 1, 9, 7), ("0s", 4, 6, 4), ("0s", 100, 1, 1), ("93d", 1, 8, 7), ("97d", 1, 4, 4), ("98d", 1, 3, 1)],
)
def test_what_was_the_newest_for_less_than_a_time_stays_with_what_it_stands_on(
    memory: Store, older_than: str, keep: int, oldest: int, base: int
) -> None:
    live = history(memory)
    found = collect(memory, Retention(duration(older_than), keep), clock)
    assert (found.newest, found.oldest, found.base) == (9, oldest, base)
    assert found.versions == tuple(range(1, base))
    assert left(memory) == list(range(base, 10))
    assert {path.split("/")[0] for path in of_versions(memory, 1, base - 1)} <= {"ledger"}
    assert_same(Reader(memory).load(), live)
    assert audit(memory).problems == ()
    assert audit(memory).leftovers == ()


def test_it_writes_down_what_is_purged_and_names_what_waits(store: Store) -> None:
    history(store)
    assert newest_purge(store) is None
    found = collect(store, AT_ONCE, clock)
    purge = newest_purge(store)
    assert purge is not None
    assert (found.purged, purge.version, purge.time) == (7, 7, clock())
    assert purge.sha256 == Reader(store).manifest(7).sha256
    left_to_erase = waiting(Reader(store), Reader(store).manifest(9))
    assert [(each.request_id, each.version) for each in left_to_erase] == [("8", 8), ("9", 9)]


def test_what_is_said_beforehand_is_what_is_done(memory: Store) -> None:
    history(memory)
    before = contents(memory)
    said = collect(memory, AT_ONCE, clock, dry_run=True)
    assert contents(memory) == before
    done = collect(memory, AT_ONCE, clock)
    assert said == replace(done, purged=None)
    assert set(done.files) == before.keys() - contents(memory).keys()
    again = collect(memory, AT_ONCE, clock)
    assert again == replace(done, versions=(), files=(), bytes=0)


def test_a_later_collection_reads_and_writes_what_is_new_only(memory: Store) -> None:
    live = history(memory, versions=9)
    collect(memory, AT_ONCE, clock)
    newest = Reader(memory).manifest(9)
    Writer(memory, clock, lambda: "later").commit(newest, live.erase(10, event=10, full=True))
    recording = RecordingStore(memory)
    found = collect(recording, AT_ONCE, clock)
    assert (found.versions, found.purged) == ((7, 8, 9), 10)
    touched = {path for operation, path in recording.calls if operation in ("get", "put") and "manifests/" in path}
    assert touched == {manifest_path(version) for version in range(7, 11)}
    assert memory.list("purged") == ["purged/000000000010.json"]


def test_one_that_dies_at_any_access_leaves_what_can_be_read_and_is_done_again() -> None:
    whole = another_store()
    live = history(whole)
    lose_an_attempt(whole)
    done = copied(whole, another_store())
    collect(done, AT_ONCE, clock)
    counting = RecordingStore(copied(whole, another_store()))
    collect(counting, AT_ONCE, clock)
    held = Reader(whole).load(2)
    for number in range(len(counting.calls)):
        store = copied(whole, another_store())
        with pytest.raises(Crash):
            collect(dying(store, number), AT_ONCE, clock)
        assert_same(Reader(store).load(), live)
        assert_same(Reader(store).advance(held), live)
        assert set(left(store)) >= {7, 8, 9}
        assert audit(store).problems == ()
        if store.list("purged"):
            assert {path.split("/")[0] for path in of_versions(store, 1, 6)} == {"ledger"}
        collect(store, AT_ONCE, clock)
        assert contents(store) == contents(done)


def lose_an_attempt(store: Store) -> None:
    """Another writer tries to write version 9 too, and one dies while it writes version 10."""
    parent = Reader(store).load(8)
    with pytest.raises(CommitLost):
        writer(store, "loser").commit(parent.manifest, Live.of(parent).erase(11))
    newest = Reader(store).load()
    with pytest.raises(Crash):
        dead = FailingStore(store, crash=(2, "before"))
        writer(dead, "dead").commit(newest.manifest, Live.of(newest).erase(11))


def test_what_lost_attempts_have_left_goes_and_what_may_still_be_committed_stays(store: Store) -> None:
    live = history(store)
    lose_an_attempt(store)
    orphans = {path for path in of_versions(store, 9, 9) if "loser" in path}
    pending = of_versions(store, 10, 10)
    assert len(orphans) == 2
    assert pending
    found = collect(store, Retention(timedelta(days=1000)), clock)
    assert set(found.files) == orphans
    assert of_versions(store, 10, 10) == pending
    assert_same(Reader(store).load(), live)
    newest = Reader(store).load()
    writer(store, "next").commit(newest.manifest, Live.of(newest).erase(11))
    assert set(collect(store, Retention(timedelta(days=1000)), clock).files) == pending


def test_what_a_writer_of_a_collected_version_puts_afterwards_goes_with_the_next_collection(memory: Store) -> None:
    history(memory)
    sleeping = Reader(memory).load(2)
    collect(memory, AT_ONCE, clock)
    with pytest.raises(CommitLost, match="collected since"):
        writer(memory, "late").commit(sleeping.manifest, Live.of(sleeping).erase(11))
    assert [note.path for note in audit(memory).notes if "collect again" in note.what]
    found = collect(memory, AT_ONCE, clock)
    assert {path.split("/")[0] for path in found.files} == {"model", "ledger"}
    assert audit(memory).leftovers == ()


def test_a_candidate_of_a_version_that_is_collected_goes_and_a_younger_one_stays(memory: Store) -> None:
    history(memory)
    for name, parent in (("old", 6), ("young", 8), ("odd", None)):
        memory.put(f"candidates/{name}/train.parquet", b"rows")
        memory.put(f"candidates/{name}/candidate.json", json.dumps({"parent": parent}).encode())
        memory.put(f"candidates/{name}/rejected.json", b"why")
    for name in ("000000000006-old", "000000000008-young", "unfinished"):
        memory.put(f"candidates/{name}/train.parquet", b"rows")
    assert collect(memory, AT_ONCE, clock, dry_run=True).refused == ("000000000006-old", "unfinished")
    found = collect(memory, AT_ONCE, clock)
    left = {path.removeprefix("candidates/") for path in memory.list("candidates") if "rejected" not in path}
    assert left == {"000000000008-young/train.parquet", "young/train.parquet", "young/candidate.json"}
    assert len(memory.list("candidates")) == len(left) + 5
    assert found.refused == ("000000000006-old", "unfinished")
    said = json.loads(memory.get("candidates/000000000006-old/rejected.json"))
    assert "made from version 6" in said["reason"]
    assert "up to 7" in said["reason"]
    assert memory.get("candidates/old/rejected.json") == b"why"
    assert collect(memory, AT_ONCE, clock).refused == ()


def test_what_a_killed_process_was_writing_goes_and_what_a_living_one_writes_stays(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    history(store)
    (tmp_path / STAGING / "of-the-dead").write_bytes(b"rows of people")
    with store._staged(b"not yet in place") as staged:
        collect(store, AT_ONCE, clock)
        assert store.list(STAGING) == [f"{STAGING}/{staged.name}"]
        assert staged.read_bytes() == b"not yet in place"
    assert store.list(STAGING) == []


def test_versions_of_a_backup_that_was_copied_over_the_prefix_are_collected_again(memory: Store) -> None:
    live = history(memory)
    backup = contents(memory)
    collect(memory, AT_ONCE, clock)
    for path, data in backup.items():
        memory.put(path, data)
    found = collect(memory, AT_ONCE, clock)
    assert found.versions == tuple(range(1, 7))
    assert audit(memory).leftovers == ()
    assert_same(Reader(memory).load(), live)


def test_what_was_purged_from_another_history_says_nothing(memory: Store) -> None:
    history(memory)
    collect(memory, AT_ONCE, clock)
    other = another_store()
    history(other, full=(3, 7))
    other.put("purged/000000000007.json", memory.get("purged/000000000007.json"))
    other.put(
        "purged/000000000002.json", b'{"version": 2, "sha256": "' + b"0" * 64 + b'", "time": "2026-01-01T00:00Z"}'
    )
    assert newest_purge(other) is None
    found = collect(other, AT_ONCE, clock)
    assert found.versions == tuple(range(1, 7))
    assert newest_purge(other) is not None


def test_a_backup_that_is_restored_meanwhile_ends_it(memory: Store) -> None:
    history(memory)

    def restored() -> None:
        memory.delete(manifest_path(9))

    with pytest.raises((HistoryReplaced, NoVersion)):
        collect(memory, AT_ONCE, clock, pause=restored)
    assert left(memory) == list(range(1, 9))


@pytest.mark.parametrize("operation", ["get", "put", "list", "delete", "create"])
def test_a_store_that_fails_ends_it_and_it_is_done_again(memory: Store, operation: str) -> None:
    live = history(memory)
    fault = Fault(operation, "", "before", rate=0.2 if operation == "get" else 1.0)  # type: ignore[arg-type]
    with pytest.raises(StoreError, match="on purpose"):
        collect(FailingStore(memory, [fault]), AT_ONCE, clock)
    assert_same(Reader(memory).load(), live)
    collect(memory, AT_ONCE, clock)
    assert left(memory) == [7, 8, 9]


def test_a_tombstone_says_which_files_are_gone_and_those_of_older_releases_are_still_read(memory: Store) -> None:
    history(memory)
    manifest = Reader(memory).manifest(4)
    collect(memory, AT_ONCE, clock)
    found = Reader(memory).entry(4)
    assert isinstance(found, Tombstone)
    assert [file.role for file in found.files] == ["model", "train", "holdout", "users", "items"]
    assert {file.sha256 for file in found.files} < {file.sha256 for file in manifest.files}
    old = found.model_dump_json(exclude={"files", "files_sha256"}, indent=1).encode()
    memory.put(manifest_path(4), old)
    assert audit(memory).notes == ()
    assert b"files" not in old
    assert encode_tombstone(manifest) != old


def test_the_oldest_erasure_that_a_base_holds_is_dated_until_the_next_full_version(memory: Store) -> None:
    history(memory)
    dated = [Reader(memory).manifest(number).oldest_erasure for number in range(1, 10)]
    days = [None, 1, 1, None, 4, 4, None, 7, 7]
    assert dated == [None if day is None else TIME + timedelta(days=day) for day in days]


def test_a_folder_store_names_what_is_being_written_only_where_it_is_asked_for(tmp_path: Path) -> None:
    store = open_store(tmp_path.as_uri())
    store.put("a", b"1")
    (tmp_path / STAGING / "left").write_bytes(b"2")
    assert store.list("") == ["a"]
    assert store.list(STAGING) == [f"{STAGING}/left"]
    store.delete(f"{STAGING}/left")
    assert store.list(STAGING) == []
