"""An audit names every byte that is not as it was written, and calls nothing wrong that is right."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ifru.interactions import Deletion
from ifru.objective.parameters import ParameterUpdate
from ifru.snapshots import (
    Audit,
    Change,
    FullState,
    Manifest,
    NoVersion,
    Reader,
    Remembered,
    Store,
    audit,
    encode_tombstone,
    open_store,
    serving_of,
)
from ifru.snapshots.audit import READERS
from ifru.snapshots.format import HEAD, encode_head, encode_manifest, manifest_path
from ifru.snapshots.hash_key import HASH_KEY
from tests.fixtures.failing_store import Operation, RecordingStore
from tests.snapshots.cases import RESIDUAL, Live, another_store, writer
from tests.snapshots.test_segments import run
from tests.snapshots.towers import forgets, state

FORMAT_1 = Path(__file__).parent / "format_1"
FEATURES = {"user": pa.table({"row": [0, 7], "age": [30, 60]}), "item": pa.table({"row": [5, 0], "year": [1999, 2001]})}


def claim(manifest: Manifest) -> Change:
    nothing = Change(ParameterUpdate({}), Deletion.nothing(), positions={}, events=[], residual=manifest.residual)
    return replace(nothing, quality=manifest.quality, claim=True)


def collect(store: Store, *versions: int) -> None:
    for version in versions:
        manifest = Reader(store).manifest(version)
        store.put(manifest_path(version), encode_tombstone(manifest))
        for file in manifest.files:
            if file.role != "ledger":
                store.delete(file.path)


def with_everything(store: Store) -> list[Manifest]:
    """Full versions, deltas, claims and tombstones, of a model with serving tables, buffers, features; two writers."""
    model = state(features=FEATURES, buffers={"mean": torch.ones(3)})
    model = replace(model, serving=serving_of(model.config, model.parameters, model.dataset.train))
    by = writer(store, "one")
    manifests = [by.start(model, {"auc": 0.7}, RESIDUAL)]

    def commit(change: Change) -> None:
        manifests.append(by.commit(manifests[-1], change))

    def change(user: int, full: bool = False, **others: Any) -> Change:
        made = forgets(model, user, **others)
        serving = serving_of(model.config, model.parameters, model.dataset.train)
        whole = FullState(model.config, model.parameters, model.dataset, serving, model.buffers, model.features)
        receipts = [f'{{"request_id": "{user}"}}'.encode()]
        return replace(made, serving=serving, events=["h"], receipts=receipts, full=whole if full else None)

    commit(change(1))
    commit(change(2, buffers={"mean": torch.zeros(3)}))
    commit(replace(change(3, full=True), answered=Remembered((), run(2, "published", "failed"), 3)))
    # Another process, whose rows are numbered as in the files.
    by, read = writer(store, "two"), Reader(store).load()
    model = FullState(model.config, read.parameters, read.dataset, read.propagated, read.buffers, read.features)
    commit(replace(claim(manifests[-1]), serving=model.serving))
    commit(replace(claim(manifests[-1]), serving=model.serving))
    second = Remembered(manifests[-1].answered, run(5, "published", start=9), 5)
    commit(replace(change(4), answered=second))
    commit(change(5))
    collect(store, 1, 2, 3)
    return manifests


@cache
def everything() -> Mapping[str, bytes]:
    store = another_store()
    with_everything(store)
    return {path: store.get(path) for path in store.list("")}


def holding(objects: Mapping[str, bytes]) -> Store:
    store = another_store()
    for path, data in objects.items():
        store.put(path, data)
    return store


def named(found: Audit) -> str:
    return "\n".join(f"{finding.path} {finding.what}" for finding in (*found.problems, *found.notes))


def told(store: Store) -> list[tuple[str, str]]:
    return [(finding.path, finding.what) for finding in audit(store).problems]


def test_what_is_sound_is_called_sound_and_counted(store: Store) -> None:
    with_everything(store)
    found = audit(store)
    assert found.sound, named(found)
    assert (found.newest, found.collected, found.notes, found.leftovers) == (8, 3, (), ())
    objects = store.list("")
    assert found.files == len(objects) - 8 - len({HEAD, HASH_KEY})
    assert found.bytes == sum(len(store.get(path)) for path in objects if not path.startswith(("manifests", "H", "h")))
    assert found.receipts == 5


def test_a_store_of_format_1_and_what_was_written_on_it_is_sound(tmp_path: Path) -> None:
    old = open_store(Path(shutil.copytree(FORMAT_1, tmp_path / "store")).as_uri())
    old.delete("README.md")
    assert audit(old).sound
    live = Live.of(Reader(old).load())
    writer(old).commit(Reader(old).manifest(4), live.erase(5, 9))
    found = audit(old)
    assert found.sound, named(found)
    assert found.notes == ()


def test_nothing_is_no_store_to_audit(memory: Store) -> None:
    with pytest.raises(NoVersion):
        audit(memory)


@pytest.mark.parametrize("path", sorted(everything()))
def test_a_file_that_is_missing_or_cut_short_is_named(path: str) -> None:
    for left in (None, b"", everything()[path][:-1]):
        store = holding(everything())
        store.delete(path)
        if left is not None:
            store.put(path, left)
        found = audit(store)
        assert path in named(found)
        assert not found.sound or (path, left) == (HEAD, None)


@pytest.mark.parametrize("path", sorted(everything()))
def test_any_byte_that_is_changed_is_named(path: str) -> None:
    data = everything()[path]
    for place in (0, len(data) // 3, len(data) // 2, len(data) - 1):
        changed(path, place, 1)


@given(st.sampled_from(sorted(everything())), st.integers(0, 2**20), st.integers(1, 255))
@settings(max_examples=150, deadline=None)
def test_whichever_byte_is_changed_in_whatever_way_it_is_named(path: str, place: int, bits: int) -> None:
    changed(path, place % len(everything()[path]), bits)


def test_every_byte_of_a_tombstone_counts() -> None:
    path = manifest_path(1)
    for place in range(len(everything()[path])):
        changed(path, place, 1)


def changed(path: str, place: int, bits: int) -> None:
    data = bytearray(everything()[path])
    data[place] ^= bits
    store = holding(everything())
    store.put(path, bytes(data))
    found = audit(store)
    assert path in named(found)
    # In a document that nobody vouches for, other bytes can say the same, or what an older release would have said.
    odd = ("other bytes", "as in format 1")
    assert not found.sound or any(f.path == path and any(what in f.what for what in odd) for f in found.notes)


def rewritten(store: Store, version: int, **fields: object) -> None:
    """Another manifest in the place of one, and the hashes of all after it made to fit, as a forger would."""
    parent: str | None = None
    for number in range(version, Reader(store).newest() + 1):
        document = json.loads(store.get(manifest_path(number)))
        document |= fields if number == version else {"parent_sha256": parent}
        store.put(manifest_path(number), json.dumps(document).encode())
        parent = Reader(store).manifest(number).sha256
    store.put(HEAD, encode_head(Reader(store).newest(), parent))


def chain(store: Store, versions: int = 5, full_at: int = 3) -> list[Manifest]:
    live, by = Live.new(), writer(store)
    manifests = [live.start(by)]
    for version in range(2, versions + 1):
        manifests.append(by.commit(manifests[-1], live.erase(version, version, full=version == full_at)))
    return manifests


def test_a_version_that_is_missing_is_named_and_nothing_is_said_of_what_follows(memory: Store) -> None:
    chain(memory)
    memory.delete(manifest_path(2))
    assert told(memory) == [(manifest_path(2), "is missing")]
    memory.delete(manifest_path(1))
    assert told(memory) == [(manifest_path(1), "is missing, like all up to version 2")]


def test_what_lies_among_the_manifests_and_beyond_the_newest_is_named(memory: Store) -> None:
    chain(memory)
    memory.put("manifests/notes.txt", b"")
    memory.put("manifests/000000000000.json", b"{}")
    memory.put(manifest_path(999_999_999_999), memory.get(manifest_path(5)))
    paths = [path for path, _ in told(memory)]
    assert paths[:2] == ["manifests/000000000000.json", "manifests/notes.txt"]
    assert (manifest_path(6), "is missing, like all up to version 999999999998") in told(memory)
    assert (manifest_path(999_999_999_999), "is not the manifest of version 999999999999") in told(memory)


@pytest.mark.parametrize(
    ("version", "fields", "what"),
    [
        (4, {"epoch": 0}, None),
        (5, {"base": 1}, "stands on the full version 1, the one before it on 3"),
        (4, {"retained": 3}, "delta.safetensors leaves"),
        (3, {"holdout": 3}, "train.parquet leaves"),
        (4, {"claims": 1}, "claims version 1, which it is no claim of"),
        (4, {"claims": 3}, "claims version 3, which it is no claim of"),
        (4, {"schema_version": 7}, "has schema version 7"),
        (4, {"model": {"name": "magic"}}, "the model 'magic' is not known"),
        (5, {"hash_key_id": "another"}, "holds the key"),
        (4, {"parent_sha256": "ab" * 32}, "was written after another parent"),
    ],
)
def test_a_manifest_that_says_what_is_not_so_is_found_though_all_hashes_fit(
    memory: Store, version: int, fields: dict[str, object], what: str | None
) -> None:
    chain(memory)
    if "schema_version" in fields or "model" in fields:
        document = json.loads(memory.get(manifest_path(version)))
        memory.put(manifest_path(version), json.dumps(document | fields).encode())
    else:
        rewritten(memory, version, **fields)
    found = audit(memory)
    assert found.sound == (what is None)
    assert (what or "") in named(found)


def test_an_epoch_that_falls_is_found(memory: Store) -> None:
    live, by = Live.new(), writer(memory)
    newest = live.start(by)
    for name in ("two", "three"):
        newest = writer(memory, name).commit(newest, claim(newest))
    rewritten(memory, 3, epoch=0)
    assert told(memory) == [(manifest_path(3), "was written in epoch 0, but the version before it in epoch 1")]


def test_a_ledger_that_names_another_one_before_it_is_found_though_all_hashes_fit(memory: Store) -> None:
    manifests = chain(memory)
    file = manifests[3].file("ledger")
    data = memory.get(file.path).replace(manifests[2].file("ledger").sha256.encode(), b"ab" * 32)
    memory.put(file.path, data)
    forged = type(file).of("ledger", 4, manifests[3].attempt, data)
    files = [one if one.role != "ledger" else forged for one in manifests[3].files]
    rewritten(memory, 4, files=[one.model_dump() for one in files])
    first, second = told(memory)
    assert first[0] == forged.path
    assert first[1].startswith(f"names {'ab' * 32} as the ledger before it, which has ")
    assert second[0] == manifests[4].file("ledger").path


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("full", [False, True])
def test_numbers_that_are_not_finite_are_found(memory: Store, value: float, full: bool) -> None:
    live, by = Live.new(), writer(memory)
    first = live.start(by)
    live.tables.item[1] = value
    second = by.commit(first, live.change(Deletion.nothing(), [], np.array([1]), 1, full))
    assert told(memory) == [(second.file("model" if full else "delta").path, "holds numbers that are not finite")]


@pytest.mark.parametrize("column", ["label", "weight"])
def test_labels_and_weights_that_are_not_finite_are_found(memory: Store, column: str) -> None:
    live = Live.new()
    getattr(live.dataset.train, column)[0] = np.nan
    first = live.start(writer(memory))
    assert told(memory) == [(first.file("train").path, "holds numbers that are not finite")]


def test_a_claim_that_moves_something_is_found(memory: Store) -> None:
    live, by = Live.new(), writer(memory)
    second = by.commit(live.start(by), replace(live.erase(1), events=[], claim=True))
    assert told(memory) == [(second.file("delta").path, "belongs to a claim, which moves and deletes nothing")]


def test_a_delta_whose_full_version_was_collected_is_found(memory: Store) -> None:
    chain(memory)
    collect(memory, 3)
    assert told(memory) == [(manifest_path(4), "is a delta on version 3, which was collected")]


def test_a_tombstone_that_does_not_fit_its_neighbours_is_found(memory: Store) -> None:
    manifests = chain(memory, full_at=4)
    for field, neighbour in (("sha256", 4), ("parent_sha256", 3)):
        store = holding({path: memory.get(path) for path in memory.list("")})
        collect(store, 3)
        store.put(manifest_path(3), encode_tombstone(manifests[2].model_copy(update={field: "ab" * 32})))
        [(path, what)] = told(store)
        assert path == manifest_path(neighbour)
        assert "after another parent" in what


def test_a_newest_version_that_was_collected_is_found(memory: Store) -> None:
    chain(memory, full_at=5)
    collect(memory, 5)
    assert told(memory) == [(manifest_path(5), "is the newest version, and was collected")]


def test_a_hint_that_is_behind_or_missing_is_noted_and_one_that_leads_nowhere_is_wrong(memory: Store) -> None:
    manifests = chain(memory)
    hints: list[tuple[bytes, str, bool]] = [
        (encode_head(4, manifests[3].sha256), "is behind: it names version 4, and 5 is the newest", True),
        (encode_head(5, None), "does not say which bytes the newest manifest has", True),
        (encode_head(6, None), "names version 6, but manifests/000000000006.json does not exist", False),
        (encode_head(4, manifests[4].sha256), f"{manifest_path(4)} has SHA-256", False),
        (b"[" * 100_000, "names no version", False),
    ]
    for hint, what, sound in hints:
        memory.put(HEAD, hint)
        found = audit(memory)
        assert what in named(found)
        assert found.sound == sound


def test_files_that_no_version_names_are_leftovers_and_no_problem(memory: Store) -> None:
    manifests = chain(memory)
    paths = [
        "model/000000000002-of-a-loser/delta.safetensors",
        f"model/000000000002-{manifests[1].attempt}/other.bin",
        "ledger/000000000006-under-way.jsonl",
        "probe/1",
        "README.md",
    ]
    for path in paths:
        memory.put(path, b"")
    found = audit(memory)
    assert found.sound
    assert found.leftovers == tuple(sorted(paths))


def test_a_store_that_a_backup_was_restored_to_says_so_where_files_are_left_of_what_was_lost(memory: Store) -> None:
    live, by = Live.new(), writer(memory)
    manifests = [live.start(by)]
    for version in range(2, 6):
        if version == 3:
            backup = memory.get(HEAD)
        manifests.append(by.commit(manifests[-1], live.erase(version, version)))
    for version in (3, 4, 5):
        memory.delete(manifest_path(version))
    memory.put(HEAD, backup)
    found = audit(memory)
    assert found.sound
    [note] = found.notes
    assert note.path == manifests[4].file("delta").path
    assert note.what == "is of version 5, but 2 is the newest: a backup was probably restored"


def test_each_file_is_read_once_and_few_at_a_time(memory: Store) -> None:
    for path, data in everything().items():
        memory.put(path, data)
    store, lock, under_way, most = RecordingStore(memory), Lock(), 0, 0

    class Counting:
        def get(self, path: str) -> bytes:
            nonlocal under_way, most
            with lock:
                under_way += 1
                most = max(most, under_way)
            try:
                return store.get(path)
            finally:
                with lock:
                    under_way -= 1

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

    assert audit(Counting()).sound  # type: ignore[arg-type]
    gets = [path for operation, path in store.calls if operation == "get"]
    segments = [path for path in gets if path.startswith("answered/")]
    assert sorted(set(gets)) == sorted(everything())
    # The key is read, and then compared; a segment is named by several versions that are read ahead.
    assert len(gets) - len(everything()) <= 1 + len(segments)
    assert most <= READERS


def test_what_is_published_or_collected_meanwhile_is_no_problem(memory: Store) -> None:
    for access in range(45):
        inner = another_store()
        live, by = Live.new(), writer(inner)
        manifests = [live.start(by)]
        for version in range(2, 5):
            manifests.append(by.commit(manifests[-1], live.erase(version, version, full=version == 3)))
        numbers, lock = count(), Lock()
        store = RecordingStore(inner, at(access, numbers, lock, live_on(inner, live, by, manifests)))
        found = audit(store)
        assert found.sound, named(found)


def live_on(store: Store, live: Live, by: Any, manifests: list[Manifest]) -> Callable[[], None]:
    def act() -> None:
        by.commit(manifests[-1], live.erase(5, 5, full=True))
        collect(store, 1, 2, 3, 4)

    return act


def at(access: int, numbers: count[int], lock: Lock, act: Callable[[], None]) -> Callable[[Operation, str], None]:
    def before(operation: Operation, path: str) -> None:
        with lock:
            if next(numbers) == access:
                act()

    return before


def test_progress_is_told_version_by_version(memory: Store) -> None:
    chain(memory)
    heard: list[tuple[str, float | None]] = []
    audit(memory, lambda what, share: heard.append((what, share)))
    assert heard == [(f"version {number} of 5", number / 5) for number in range(1, 6)]


def test_a_manifest_is_read_back_as_it_was_written(memory: Store) -> None:
    (first, *_) = chain(memory)
    assert memory.get(manifest_path(1)) == encode_manifest(first)
