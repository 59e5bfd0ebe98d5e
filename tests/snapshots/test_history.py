"""A version says which one it follows, who wrote it, what was read, and which requests it answers or holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ifru.interactions import Deletion
from ifru.snapshots import (
    Change,
    CorruptFile,
    Event,
    ForkedHistory,
    Held,
    Holding,
    Manifest,
    NoVersion,
    Position,
    Reader,
    Source,
    Store,
    encode_tombstone,
    key_id,
    read_hash_key,
)
from ifru.snapshots.format import Tombstone, decode_manifest, manifest_path
from tests.snapshots.cases import TIME, Live, another_store, assert_same, writer


def chain(store: Store, versions: int, full_at: int | None = None, seed: int = 0) -> tuple[Live, list[Manifest]]:
    live, by = Live.new(seed=seed), writer(store)
    manifests = [live.start(by)]
    for version in range(2, versions + 1):
        manifests.append(by.commit(manifests[-1], live.erase(version, version, full=version == full_at)))
    return live, manifests


def nothing(live: Live, **changes: object) -> Change:
    change = live.change(Deletion.nothing(), [], np.array([], dtype=np.int64), 0)
    return replace(change, **{"positions": {}, "events": [], **changes})


def digest(store: Store, version: int) -> str:
    return hashlib.sha256(store.get(manifest_path(version))).hexdigest()


def test_a_version_names_the_bytes_of_its_parent_s_manifest(store: Store) -> None:
    _, manifests = chain(store, 3, full_at=3)
    assert [manifest.parent_sha256 for manifest in manifests] == [None, digest(store, 1), digest(store, 2)]
    assert [manifest.sha256 for manifest in manifests] == [digest(store, version) for version in (1, 2, 3)]
    assert manifests == [Reader(store).manifest(version) for version in (1, 2, 3)]


def rewritten(store: Store, version: int, edit: Callable[[dict[str, Any]], object] = lambda document: None) -> None:
    """The same manifest in other bytes, or another one."""
    document = json.loads(store.get(manifest_path(version)))
    edit(document)
    store.put(manifest_path(version), json.dumps(document).encode())


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_parent_that_is_not_the_one_a_version_was_written_after_is_found(memory: Store, version: int) -> None:
    chain(memory, 4)
    held = Reader(memory).load(version - 1) if version > 1 else None
    rewritten(memory, version)
    with pytest.raises(
        ForkedHistory, match=rf"{manifest_path(version + 1)} was written after another parent"
    ) as forked:
        Reader(memory).load()
    assert "two histories lie under one prefix" in str(forked.value)
    if held is not None:
        with pytest.raises(ForkedHistory):
            Reader(memory).advance(held)
    assert Reader(memory).load(version).manifest.version == version


def test_a_full_version_after_another_parent_is_found_by_who_holds_that_one(memory: Store) -> None:
    chain(memory, 3, full_at=3)
    held = Reader(memory).load(2)
    other = another_store()
    chain(other, 3, full_at=3, seed=1)
    memory.put(manifest_path(3), other.get(manifest_path(3)))
    with pytest.raises(ForkedHistory, match=rf"{manifest_path(3)} was written after another parent"):
        Reader(memory).advance(held)


def test_a_delta_on_another_model_is_found(memory: Store) -> None:
    chain(memory, 2)
    rewritten(memory, 2, lambda document: document["model"].update(l2=0.7))
    with pytest.raises(ForkedHistory, match="is a delta, but of another model"):
        Reader(memory).load()


def test_each_writer_that_takes_over_raises_the_epoch_and_keeps_it(memory: Store) -> None:
    live, [newest] = chain(memory, 1)
    epochs = [newest.epoch]
    for name in ("first", "second"):
        by = writer(memory, name)
        for _ in range(2):
            newest = by.commit(newest, nothing(live))
            epochs.append(newest.epoch)
    assert epochs == [0, 1, 1, 2, 2]


def test_a_writer_that_goes_on_after_another_one_raises_the_epoch_above_it(memory: Store) -> None:
    live, [first] = chain(memory, 1)
    one, other = writer(memory, "one"), writer(memory, "other")
    second = one.commit(first, nothing(live))
    third = other.commit(second, nothing(live))
    fourth = one.commit(third, nothing(live))
    assert [second.epoch, third.epoch, fourth.epoch] == [1, 2, 3]


def test_the_one_who_starts_a_model_goes_on_in_the_same_epoch(memory: Store) -> None:
    _, manifests = chain(memory, 3)
    assert [manifest.epoch for manifest in manifests] == [0, 0, 0]


def test_an_epoch_that_goes_back_is_found(memory: Store) -> None:
    live, [newest] = chain(memory, 1)
    newest = writer(memory, "daemon").commit(newest, nothing(live))
    writer(memory, "another").commit(newest, nothing(live))
    rewritten(memory, 3, lambda document: document.update(epoch=0))
    with pytest.raises(ForkedHistory, match="was written in epoch 0, but the version before it in epoch 1"):
        Reader(memory).load()


KAFKA = Source(kind="kafka", cluster_id="c", topic_id="t", partitions={0: Position(next=5, leader_epoch=3)})
FILE = Source(kind="file", partitions={0: Position(next=9, before_sha256="ab" * 32)})


def test_a_position_carries_what_tells_its_stream_and_keeps_it_where_the_next_batch_is_silent(memory: Store) -> None:
    live, [manifest] = chain(memory, 1)
    by = writer(memory)
    moves: list[dict[str, Any]] = [{"k": KAFKA, "f": FILE}, {"k": {1: 7}}, {"f": {0: 12}}]
    for positions in moves:
        manifest = by.commit(manifest, nothing(live, positions=positions))
    read = Reader(memory).manifest(4)
    assert read.positions == {"k": {0: 5, 1: 7}, "f": {0: 12}}
    assert read.sources["k"] == KAFKA.model_copy(update={"partitions": {**KAFKA.partitions, 1: Position(next=7)}})
    # The hash belonged to the position before.
    assert read.sources["f"] == FILE.model_copy(update={"partitions": {0: Position(next=12)}})


def test_of_a_stream_that_took_anothers_place_no_position_of_the_other_is_kept(memory: Store) -> None:
    live, [manifest] = chain(memory, 1)
    by = writer(memory)
    wide = KAFKA.model_copy(update={"partitions": {0: Position(next=5), 1: Position(next=7)}})
    anew = KAFKA.model_copy(update={"topic_id": "u", "partitions": {0: Position(next=1)}})
    for source in (wide, anew):
        manifest = by.commit(manifest, nothing(live, positions={"k": source}))
    assert Reader(memory).manifest(3).sources["k"] == anew


def test_requests_are_there_with_the_fingerprints_of_their_content_and_as_hashes(memory: Store) -> None:
    live, [first] = chain(memory, 1)
    writer(memory).commit(first, nothing(live, events=[Event(hash="a", fingerprint="f"), "b"]))
    manifest = Reader(memory).manifest(2)
    assert manifest.events == (Event(hash="a", fingerprint="f"), Event(hash="b"))
    assert manifest.hashes == ("a", "b")


def test_a_held_request_stays_in_every_version_until_it_is_released(memory: Store) -> None:
    live, [manifest] = chain(memory, 1)
    by, held = writer(memory), Held(hash="h", fingerprint="f", since=TIME, reason="legal hold")
    for change in ({"holding": Holding([held])}, {}, {"holding": Holding()}):
        manifest = by.commit(manifest, nothing(live, **change))
    assert [Reader(memory).manifest(version).held for version in (1, 2, 3, 4)] == [(), (held,), (held,), ()]


def test_a_version_tells_which_key_made_its_hashes_and_not_the_key(memory: Store) -> None:
    live, [first] = chain(memory, 1)
    key, by = read_hash_key(memory), writer(memory)
    assert first.hash_key_id == key_id(key) == hashlib.sha256(key).hexdigest()[:16]
    second = by.commit(first, nothing(live))
    third = by.commit(second, nothing(live, hash_key_id="another"))
    assert (second.hash_key_id, third.hash_key_id) == (first.hash_key_id, "another")
    assert key.hex() not in "".join(memory.get(manifest_path(version)).decode() for version in (1, 2, 3))


def collected(store: Store, version: int) -> None:
    """What a collector does, in its order."""
    manifest = Reader(store).manifest(version)
    store.put(manifest_path(version), encode_tombstone(manifest))
    for file in manifest.files:
        if file.role != "ledger":
            store.delete(file.path)


def test_a_collected_version_keeps_its_place_in_the_history_and_its_receipts(store: Store) -> None:
    live, manifests = chain(store, 3, full_at=3)
    receipts = Reader(store).receipts(2)
    for version in (1, 2):
        collected(store, version)
    found = decode_manifest(store.get(manifest_path(2)), 2)
    assert isinstance(found, Tombstone)
    assert (found.sha256, found.parent_sha256) == (manifests[2].parent_sha256, manifests[0].sha256)
    assert found.ledger == manifests[1].file("ledger")
    assert Reader(store).receipts(2) == receipts == [b'{"request_id": "2"}']
    assert_same(Reader(store).load(), live)
    with pytest.raises(NoVersion, match="version 2 was collected"):
        Reader(store).load(2)


def test_a_ledger_of_a_collected_version_is_checked(memory: Store) -> None:
    _, manifests = chain(memory, 3, full_at=3)
    collected(memory, 2)
    memory.put(manifests[1].file("ledger").path, b"forged")
    with pytest.raises(CorruptFile, match="bytes, not"):
        Reader(memory).receipts(2)
