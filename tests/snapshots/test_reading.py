"""Readers see whole, verified versions, and find the newest one from whatever hint there is."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.numpy import load as load_tensors

from ifru.models import MFConfig
from ifru.snapshots import CorruptFile, FullState, Manifest, NoVersion, Reader, Store, StoreError
from ifru.snapshots.format import encode_tombstone, manifest_path
from ifru.snapshots.parts import Role
from ifru.snapshots.tensors import named_tensors
from tests.fixtures.failing_store import Operation, RecordingStore
from tests.snapshots import towers
from tests.snapshots.cases import RESIDUAL, Live, another_store, assert_same, no_sleep, writer


def chain(store: Store, versions: int, full_at: int | None = None) -> tuple[Live, Manifest]:
    """So many versions; a delta each, but for the first one and `full_at`."""
    live, by = Live.new(), writer(store)
    manifest = live.start(by)
    for version in range(2, versions + 1):
        manifest = by.commit(manifest, live.erase(version, version, full=version == full_at))
    return live, manifest


@pytest.mark.parametrize("hint", [None, b"", b"{", b"[]", b'{"version": "4"}', b'{"version": 1}', b'{"version": 9}'])
def test_the_newest_version_is_found_whatever_the_hint_says(memory: Store, hint: bytes | None) -> None:
    chain(memory, 4)
    memory.delete("HEAD.json")
    if hint is not None:
        memory.put("HEAD.json", hint)
    assert Reader(memory).newest() == 4


def test_with_a_good_hint_no_listing_is_needed(memory: Store) -> None:
    chain(memory, 4)
    store = RecordingStore(memory)
    assert Reader(store).newest() == 4
    assert "list" not in {operation for operation, _ in store.calls}


def test_something_else_that_lies_among_the_manifests_is_no_version(memory: Store) -> None:
    memory.put("manifests/000000000007.json.bak", b"")
    with pytest.raises(NoVersion):
        Reader(memory).newest()


def test_any_version_can_be_read_not_only_the_newest(memory: Store) -> None:
    chain(memory, 5, full_at=4)
    assert_same(Reader(memory).load(3), chain(another_store(), 3)[0])


def test_a_version_that_does_not_exist_or_was_collected_is_said_to_be_so(memory: Store) -> None:
    chain(memory, 3, full_at=3)
    memory.put(manifest_path(2), encode_tombstone(Reader(memory).manifest(2)))
    with pytest.raises(NoVersion, match="version 2 was collected"):
        Reader(memory).load(2)
    with pytest.raises(NoVersion, match="there is no version 4"):
        Reader(memory).load(4)
    assert Reader(memory).load().manifest.version == 3


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize("role", ["model", "train", "holdout", "users", "items", "delta"])
@pytest.mark.parametrize(
    ("damage", "message"),
    [(flipped, "has SHA-256"), (lambda data: data[:-1], "bytes, not"), (None, "is missing")],
    ids=["a flipped bit", "a missing byte", "a missing file"],
)
def test_a_damaged_file_is_found_and_named(
    memory: Store, role: Role, damage: Callable[[bytes], bytes] | None, message: str
) -> None:
    _, manifest = chain(memory, 2)
    path = (manifest if role == "delta" else Reader(memory).manifest(1)).file(role).path
    if damage is None:
        memory.delete(path)
    else:
        memory.put(path, damage(memory.get(path)))
    with pytest.raises(CorruptFile, match=message) as corrupt:
        Reader(memory).load()
    assert corrupt.value.path == path
    assert str(corrupt.value).startswith(path)


@pytest.mark.parametrize("role", ["model", "train", "users", "delta"])
def test_a_file_that_was_written_in_another_format_is_named(memory: Store, role: Role) -> None:
    chain(memory, 2)
    version = 2 if role == "delta" else 1
    manifest = Reader(memory).manifest(version)
    # Well-formed, signed by its manifest, and yet not what its role says.
    other = memory.get(manifest.file("ledger").path)
    file = manifest.file(role)
    memory.put(file.path, other)
    entry = file.model_dump() | {"sha256": hashlib.sha256(other).hexdigest(), "size": len(other)}
    edited(memory, version, files=[entry, *(each.model_dump() for each in manifest.files if each != file)])
    with pytest.raises(CorruptFile, match=f"holds no {role} of this format") as corrupt:
        Reader(memory).load()
    assert corrupt.value.path == file.path


def test_a_damaged_ledger_is_found_and_named(memory: Store) -> None:
    _, manifest = chain(memory, 2)
    path = manifest.file("ledger").path
    memory.put(path, flipped(memory.get(path)))
    with pytest.raises(CorruptFile, match=path):
        Reader(memory).receipts(2)


def edited(memory: Store, version: int, **fields: object) -> None:
    document = json.loads(memory.get(manifest_path(version)))
    memory.put(manifest_path(version), json.dumps(document | fields).encode())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is not valid JSON"),
        (b"\xff", "is not valid JSON"),
        (b"[" * 200_000, "is not valid JSON"),
        (b"[]", "is not the manifest of version 2"),
        (b'{"version": 3}', "is not the manifest of version 2"),
        (b'{"version": 2, "schema_version": 1}', "wrong or missing fields: parent, base, kind"),
        (b'{"version": 2, "schema_version": 2}', "wrong or missing fields: parent, base, kind"),
    ],
)
def test_a_damaged_manifest_is_found_and_named(memory: Store, content: bytes, message: str) -> None:
    chain(memory, 2)
    memory.put(manifest_path(2), content)
    with pytest.raises(CorruptFile, match=message) as corrupt:
        Reader(memory).load()
    assert corrupt.value.path == manifest_path(2)


def test_a_manifest_that_does_not_fit_its_files_is_found(memory: Store) -> None:
    chain(memory, 2)
    edited(memory, 2, retained=3)
    with pytest.raises(CorruptFile, match=r"delta.safetensors leaves .* not \(3, \d+\) as its manifest says"):
        Reader(memory).load()


def test_a_manifest_cannot_lead_out_of_the_store(memory: Store) -> None:
    _, manifest = chain(memory, 2)
    files = [file.model_dump() | {"path": "model/../../secret"} for file in manifest.files]
    edited(memory, 2, files=files)
    with pytest.raises(CorruptFile, match=r"wrong or missing fields: files\.0\.path"):
        Reader(memory).load()


def test_a_newer_schema_is_refused_and_an_unknown_field_is_not(memory: Store) -> None:
    chain(memory, 2)
    edited(memory, 2, something_new=1)
    assert Reader(memory).load().manifest.version == 2
    edited(memory, 2, schema_version=4)
    with pytest.raises(StoreError, match="schema version 4; 1 to 3 are understood"):
        Reader(memory).load()


def test_a_version_of_format_2_is_read(memory: Store) -> None:
    live, _ = chain(memory, 3)
    edited(memory, 3, schema_version=2)
    assert_same(Reader(memory).load(), live)


def test_advancing_reads_only_the_deltas_in_between(memory: Store) -> None:
    live, _ = chain(memory, 5)
    store = RecordingStore(memory)
    held = Reader(memory).load(3)
    assert_same(Reader(store).advance(held), live)
    read = [path for operation, path in store.calls if operation == "get"]
    expected = [manifest_path(4), manifest_path(5)]
    expected += [Reader(memory).manifest(version).file("delta").path for version in (4, 5)]
    assert sorted(read) == sorted(expected)


def test_advancing_leaves_the_held_version_as_it_was(memory: Store) -> None:
    chain(memory, 4)
    held = Reader(memory).load(2)
    before = held.copy()
    Reader(memory).advance(held)
    assert_same(held, Live.of(before))


def test_advancing_over_a_full_version_reads_that_one(memory: Store) -> None:
    live, manifest = chain(memory, 6, full_at=5)
    advanced = Reader(memory).advance(Reader(memory).load(2))
    assert advanced.manifest == manifest
    assert_same(advanced, live)


def test_going_back_to_an_older_version_reads_it_anew(memory: Store) -> None:
    live, _ = chain(memory, 2)
    held = Reader(memory).load()
    assert_same(held, live)
    assert_same(Reader(memory).advance(held, 1), Live.new())


def test_watching_yields_the_newest_version_and_then_newer_ones(memory: Store) -> None:
    live, by = Live.new(), writer(memory)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        """While the reader sleeps: nothing, a start, a delta, two deltas, a full version."""
        slept.append(seconds)
        match len(slept):
            case 2:
                live.start(by)
            case 3:
                by.commit(Reader(memory).manifest(1), live.erase(1))
            case 4:
                by.commit(by.commit(Reader(memory).manifest(2), live.erase(2)), live.erase(3))
            case 5:
                by.commit(Reader(memory).manifest(4), live.erase(4, full=True))

    seen = []
    for version in Reader(memory).watch(7.0, sleep):
        assert_same(version, live)
        seen.append(version.manifest.version)
        if len(seen) == 4:
            break
    assert seen == [1, 2, 4, 5]
    assert slept == [7.0] * 5


def test_watching_goes_on_from_a_version_that_is_held(memory: Store) -> None:
    _, manifest = chain(memory, 3)
    reader = Reader(memory)
    watched = reader.watch(1.0, no_sleep("there is a newer version"), held=reader.load(2))
    assert next(watched).manifest == manifest


def test_a_version_that_is_collected_while_it_is_read_makes_a_watcher_look_again(memory: Store) -> None:
    live, by = Live.new(), writer(memory)
    first = live.start(by)
    collected = False

    def collect(operation: Operation, path: str) -> None:
        """After its manifest was read and before its files are, version 1 gives way to version 2."""
        nonlocal collected
        if operation == "get" and path.startswith(("model/", "data/")) and not collected:
            collected = True
            by.commit(first, live.erase(1, full=True))
            memory.put(manifest_path(1), encode_tombstone(first))
            for file in first.files:
                memory.delete(file.path)

    reader = Reader(RecordingStore(memory, collect))
    watched = reader.watch(1.0, lambda seconds: None)
    assert_same(next(watched), live)
    assert collected


def test_parameters_are_there_for_numpy_under_their_names(memory: Store) -> None:
    live, _ = chain(memory, 2)
    arrays = Reader(memory).load().arrays()
    assert set(arrays) == {"user.embedding", "user.bias", "item.embedding", "item.bias"}
    np.testing.assert_array_equal(arrays["user.embedding"], live.tables.user[:, :3].numpy())
    np.testing.assert_array_equal(arrays["item.bias"], live.tables.item[:, 3:].numpy())


def test_a_model_without_biases_has_none_in_its_files(memory: Store) -> None:
    live = Live.new()
    tables = type(live.tables).of(live.tables.user[:, :3].clone(), live.tables.item[:, :3].clone())
    config = MFConfig(rank=3, l2=0.1)
    manifest = writer(memory).start(FullState(config, tables, live.dataset), {}, RESIDUAL)
    assert set(load_tensors(memory.get(manifest.file("model").path))) == {"user.embedding", "item.embedding"}
    assert torch.equal(Reader(memory).load().parameters.user, tables.user)


def test_a_reader_in_any_language_needs_only_what_the_format_says(memory: Store) -> None:
    """Reads a chain with JSON, SHA-256, safetensors and Parquet alone, as docs/snapshot-format.md describes it."""
    model, by = towers.state(), writer(memory)
    written = by.start(model, {}, RESIDUAL)
    for user in (1, 2, 3):
        change = towers.forgets(model, user, serving=model.parameters if user == 3 else None)
        written = by.commit(written, replace(change, positions={"a": {0: user}}, events=[f"hash {user}"]))

    def manifest(version: int) -> tuple[str, dict[str, Any]]:
        data = memory.get(f"manifests/{version:012d}.json")
        return hashlib.sha256(data).hexdigest(), json.loads(data)

    def files(version: int) -> dict[str, bytes]:
        contents = {file["role"]: (file, memory.get(file["path"])) for file in manifest(version)[1]["files"]}
        for file, data in contents.values():
            assert (file["size"], file["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
        return {role: data for role, (_, data) in contents.items()}

    newest = manifest(json.loads(memory.get("HEAD.json"))["version"])[1]
    base = files(newest["base"])
    tensors, train = load_tensors(base["model"]), pq.read_table(io.BytesIO(base["train"]))
    assert {name: len(tensors[f"{name}.bias"]) for name in newest["tables"]} == {
        name: table["rows"] for name, table in newest["tables"].items()
    }
    alive = np.ones(len(train), dtype=bool)
    for version in range(newest["base"] + 1, newest["version"] + 1):
        assert manifest(version)[1]["parent_sha256"] == manifest(version - 1)[0]
        delta = load_tensors(files(version)["delta"])
        for name, changed in delta.items():
            table, _, part = name.partition(".")
            if table == "shared":
                tensors[name] = changed
            elif table not in ("erased", "steps") and part != "rows":
                tensors[name][delta[f"{table}.rows"]] = changed
        for name in [name for name in newest["tables"] if f"steps.{name}.rows" in delta]:
            rows, wide = (np.unpackbits(delta[f"steps.{name}.{bits}"], bitorder="little") for bits in ("rows", "wide"))
            moved = np.flatnonzero(rows)
            spacing = np.exp2(delta[f"steps.{name}.exponent"].astype(np.float32))[:, None]
            for kind, some in (("int8", wide[: len(moved)] == 0), ("int16", wide[: len(moved)] == 1)):
                for column in ("embedding", "bias", "field"):
                    counts = delta[f"steps.{name}.{column}.{kind}"].astype(np.float32)
                    tensors[f"{name}.{column}"][moved[some]] += counts * spacing[some]
        alive[delta["erased.train"]] = False
    expected = {name: tensor.numpy() for name, tensor in named_tensors(model.parameters, towers.CONFIG).items()}
    for found in (tensors, load_tensors(files(newest["version"])["serving"])):
        assert found.keys() == expected.keys()
        for name, tensor in expected.items():
            np.testing.assert_array_equal(found[name], tensor, err_msg=name)
    kept = model.dataset.train.columns()
    for name in ("user", "item", "label", "weight", "time", "offset"):
        np.testing.assert_array_equal(train[name].to_numpy()[alive], getattr(kept, name), err_msg=name)
    assert newest["retained"] == alive.sum()
    assert newest["sources"]["a"]["partitions"]["0"]["next"] == 3
    assert newest["events"] == [{"hash": "hash 3", "fingerprint": None}]
    ids = pq.read_table(io.BytesIO(base["users"]))
    users = dict(zip(ids["row"].to_pylist(), ids["id"].to_pylist(), strict=True))
    left = {users[row] for row in train["user"].to_numpy()[alive]}
    assert left <= {name for name in model.dataset.users if name is not None}
