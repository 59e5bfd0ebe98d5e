"""What a commit promises, on every kind of store."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
import torch

from ifru.interactions import Deletion
from ifru.objective.parameters import Parameters, ParameterUpdate
from ifru.snapshots import (
    CommitLost,
    CommitUnknown,
    Manifest,
    NoVersion,
    Reader,
    Store,
    StoreError,
    event_hash,
    read_hash_key,
)
from ifru.snapshots.format import encode_tombstone, manifest_path
from tests.fixtures.failing_store import FailingStore, Fault, FaultKind, Operation, RecordingStore
from tests.snapshots.cases import CONFIG, RESIDUAL, SOURCE, TIME, Live, another_store, assert_same, writer


def test_what_was_started_and_committed_reads_back(store: Store) -> None:
    live, by, reader = Live.new(), writer(store), Reader(store)
    first = live.start(by)
    assert_same(reader.load(), live)

    second = by.commit(first, live.erase(1))
    assert_same(reader.load(), live)
    assert reader.load().manifest == second == reader.manifest(2)
    assert (second.kind, second.parent, second.base, second.time) == ("delta", 1, 1, TIME)
    assert (second.model, second.residual, second.quality) == (CONFIG, RESIDUAL, {"auc": 0.75})
    assert (second.positions, second.hashes) == ({SOURCE: {0: 1}}, ("hash 0",))
    assert (second.retained, second.holdout) == (live.dataset.train.retained, live.dataset.holdout.retained)
    assert reader.receipts(2) == [b'{"request_id": "0"}']

    third = by.commit(second, live.erase(2, event=1, full=True))
    assert_same(reader.load(), live)
    assert (third.kind, third.parent, third.base) == ("full", 2, 3)

    by.commit(third, live.erase(3, event=2))
    assert_same(reader.load(), live)


def test_a_commit_reads_its_parent_alone_and_writes_the_manifest_after_all_files(memory: Store) -> None:
    store = RecordingStore(memory)
    live, by = Live.new(), writer(store)
    first = live.start(by)
    store.calls.clear()
    manifest = by.commit(first, live.erase(1))
    files: set[tuple[Operation, str]] = {("put", file.path) for file in manifest.files}
    assert set(store.calls[:-2]) == files | {("get", manifest_path(1))}
    assert len(store.calls) == len(files) + 3
    assert store.calls[-2:] == [("create", manifest_path(2)), ("put", "HEAD.json")]


def test_no_two_attempts_write_to_the_same_path(memory: Store) -> None:
    live = Live.new()
    first = live.start(writer(memory))
    change = live.erase(1)
    ours = writer(memory, "a").commit(first, change)
    theirs = FailingStore(memory, [Fault("get", manifest_path(2), "before")])
    with pytest.raises(CommitUnknown) as unknown:
        writer(theirs, "b").commit(first, change)
    paths = memory.list("model/") + memory.list("ledger/")
    assert sum(ours.attempt in path for path in paths) == sum(unknown.value.attempt in path for path in paths) == 2


def test_of_two_writers_one_commits_and_the_other_is_told_who_won(store: Store) -> None:
    live = Live.new()
    first = live.start(writer(store))
    both_ready = Barrier(2)

    def commit(name: str) -> Manifest | CommitLost:
        own, by = live.copy(), writer(store, name)
        change = own.erase(1 if name == "a" else 2)
        both_ready.wait()
        try:
            return by.commit(first, change)
        except CommitLost as lost:
            return lost

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(commit, ["a", "b"]))
    [won] = [outcome for outcome in outcomes if isinstance(outcome, Manifest)]
    [lost] = [outcome for outcome in outcomes if isinstance(outcome, CommitLost)]
    assert (lost.version, lost.attempt) == (2, won.attempt)
    assert "version 2 was committed by another writer" in str(lost)
    assert Reader(store).load().manifest == won
    live.erase(1 if won.attempt.startswith("a") else 2)
    assert_same(Reader(store).load(), live)


def test_a_writer_that_stalled_loses_to_versions_that_were_written_meanwhile(memory: Store) -> None:
    live, slow_live = Live.new(), Live.new()
    first = live.start(writer(memory))
    fast = writer(memory, "fast")

    def overtake(operation: Operation, path: str) -> None:
        if operation == "create":
            fast.commit(fast.commit(first, live.erase(1)), live.erase(2, event=1))

    slow = writer(RecordingStore(memory, overtake), "slow")
    with pytest.raises(CommitLost, match=r"version 2 .* \(attempt fast-"):
        slow.commit(first, slow_live.erase(5))
    assert_same(Reader(memory).load(), live)


def test_a_writer_that_stalled_loses_to_a_version_that_was_collected_meanwhile(memory: Store) -> None:
    live = Live.new()
    first = live.start(writer(memory))
    copied = another_store()
    copied.put(manifest_path(1), memory.get(manifest_path(1)))
    memory.put(manifest_path(2), encode_tombstone(writer(copied).commit(first, live.copy().erase(2))))
    with pytest.raises(CommitLost, match="collected since") as lost:
        writer(memory).commit(first, live.erase(1))
    assert (lost.value.version, lost.value.attempt) == (2, None)


@pytest.mark.parametrize("kind", ["after", "repeated", "conflict"])
def test_a_commit_whose_answer_was_lost_is_found_to_be_ours(memory: Store, kind: FaultKind) -> None:
    live = Live.new()
    first = live.start(writer(memory))
    failing = FailingStore(memory, [Fault("create", "manifests/", kind, first=1)])
    manifest = writer(failing).commit(first, live.erase(1))
    assert Reader(memory).manifest(2) == manifest
    assert_same(Reader(memory).load(), live)


def test_a_commit_that_can_neither_be_made_nor_read_back_is_unknown(memory: Store) -> None:
    live = Live.new()
    first = live.start(writer(memory))
    faults = [Fault("create", "manifests/", "after"), Fault("get", manifest_path(2), "before")]
    with pytest.raises(CommitUnknown, match=r"unknown whether version 2 \(attempt .*reading it back"):
        writer(FailingStore(memory, faults)).commit(first, live.erase(1))
    # Nothing was cleaned up: here it had been committed.
    assert_same(Reader(memory).load(), live)


def test_a_store_that_never_creates_and_never_says_why_leaves_the_commit_unknown(memory: Store) -> None:
    live = Live.new()
    first = live.start(writer(memory))
    with pytest.raises(CommitUnknown, match="not applied"):
        writer(FailingStore(memory, [Fault("create", "manifests/", "before")])).commit(first, live.erase(1))
    assert Reader(memory).newest() == 1


def test_a_commit_whose_files_cannot_be_put_has_not_happened_and_can_be_tried_again(memory: Store) -> None:
    live, failing = Live.new(), FailingStore(memory, [Fault("put", "model/", "before")])
    first = live.start(writer(memory))
    change = live.erase(1)
    with pytest.raises(StoreError, match="put model/"):
        writer(failing).commit(first, change)
    assert not memory.exists(manifest_path(2))
    writer(memory).commit(first, change)
    assert_same(Reader(memory).load(), live)


def test_a_hint_that_cannot_be_written_fails_no_commit_and_misleads_no_reader(memory: Store) -> None:
    live, failing = Live.new(), FailingStore(memory, [Fault("put", "HEAD", "before")])
    by = writer(failing)
    manifest = by.commit(live.start(by), live.erase(1))
    assert Reader(memory).newest() == manifest.version == 2


def test_a_model_is_started_only_on_an_empty_prefix(store: Store) -> None:
    Live.new().start(writer(store))
    with pytest.raises(StoreError, match=r"000000000001.json exists: a model is started on an empty prefix"):
        Live.new(seed=1).start(writer(store))
    assert_same(Reader(store).load(), Live.new())


def test_of_two_starts_at_once_one_succeeds(memory: Store) -> None:
    def overtake(operation: Operation, path: str) -> None:
        if (operation, path) == ("create", manifest_path(1)):
            Live.new(seed=1).start(writer(memory, "fast"))

    with pytest.raises(CommitLost, match="version 1 "):
        Live.new().start(writer(RecordingStore(memory, overtake), "slow"))
    assert_same(Reader(memory).load(), Live.new(seed=1))


def test_the_hash_key_stays_the_one_that_was_written_first(memory: Store) -> None:
    with pytest.raises(StoreError):
        Live.new().start(writer(FailingStore(memory, [Fault("put", "model/", "before")])))
    key = read_hash_key(memory)
    Live.new().start(writer(memory))
    assert read_hash_key(memory) == key


def test_an_event_hash_depends_on_key_source_and_id_and_is_the_same_everywhere() -> None:
    expected = "c68556df6fda8ca14461481f9977d704f5d4f8fbaeada3f8d53390c2e39a062e"
    assert event_hash(b"key", "shop", "é 1") == expected
    others = [(b"other", "shop", "é 1"), (b"key", "", "é 1"), (b"key", "shop", "é 2"), (b"key", "shopé 1", "")]
    assert expected not in {event_hash(*other) for other in others}


def test_partitions_that_a_batch_did_not_touch_keep_their_position(memory: Store) -> None:
    live, by = Live.new(), writer(memory)
    manifest = live.start(by)
    moves = [{"a": {0: 5, 1: 7}}, {"a": {1: 8}}, {"b": {0: 1}}, {}]
    for event, positions in enumerate(moves):
        change = live.change(Deletion.nothing(), [], np.array([], dtype=np.int64), event)
        manifest = by.commit(manifest, type(change)(**{**vars(change), "positions": positions}))
    assert Reader(memory).manifest(5).positions == {"a": {0: 5, 1: 8}, "b": {0: 1}}


def test_ledgers_are_chained_by_hash(memory: Store) -> None:
    live, by, reader = Live.new(), writer(memory), Reader(memory)
    manifest = live.start(by)
    assert memory.get(manifest.file("ledger").path) == b'{"previous": null}\n'
    for event in range(2):
        parent, manifest = manifest, by.commit(manifest, live.erase(event, event))
        lines = memory.get(manifest.file("ledger").path).split(b"\n")
        assert lines[0] == f'{{"previous": "{parent.file("ledger").sha256}"}}'.encode()
        assert lines[1:-1] == reader.receipts(manifest.version) == [f'{{"request_id": "{event}"}}'.encode()]


def test_a_change_that_cannot_be_stored_is_refused_before_anything_is_written(memory: Store) -> None:
    store = RecordingStore(memory)
    live, by = Live.new(), writer(store)
    first = live.start(by)
    change = live.erase(1)
    store.calls.clear()

    def items(rows: list[int], *shape: int, table: str = "item") -> dict[str, object]:
        return {"update": ParameterUpdate({table: (torch.tensor(rows), torch.zeros(shape))})}

    for wrong, message in (
        ({"receipts": [b"two\nlines"]}, "one line"),
        (items([1, 1], 2, 4), "a row of the item table has two new values"),
        (items([1, 2], 5, 4), r"2 rows and values \(5, 4\) of the item table do not fit"),
        (items([1, 2], 2, 3), r"values \(2, 3\) of the item table do not fit; the model has 4 columns"),
        (items([1], 1, 4, table="genre"), "the genre table do not fit; the model has 4 columns in user, item"),
        (items([2, 6], 2, 4), "rows 2 to 6 of the item table, which are not all there"),
        ({"update": ParameterUpdate({}, {"w": torch.zeros(2)})}, "shared tensor w"),
        ({"serving": Parameters.of(torch.zeros(8, 3), torch.zeros(6, 3))}, "the tables and shared tensors are"),
        ({"positions": {SOURCE: {0: -1}}}, "greater than or equal to 0"),
    ):
        with pytest.raises(ValueError, match=message):
            by.commit(first, type(change)(**{**vars(change), **wrong}))
    assert store.calls == []


def test_deleting_what_an_earlier_full_version_was_written_without_is_refused(memory: Store) -> None:
    live, by = Live.new(), writer(memory)
    gone = live.dataset.of_user(1)
    manifest = by.commit(live.start(by), live.erase(1, full=True))
    with pytest.raises(ValueError, match="deleted before the last full version"):
        by.commit(manifest, live.change(gone, [], np.array([], dtype=np.int64), 1))


def test_an_empty_prefix_has_no_version(store: Store) -> None:
    with pytest.raises(NoVersion, match="no version yet"):
        Reader(store).newest()
