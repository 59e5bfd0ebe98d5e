"""What the program wrote in format 1 is read, and gone on from, by the one that writes a later format."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from ifru.snapshots import Change, ForkedHistory, FullState, NoVersion, Reader, Store, Version, open_store
from ifru.snapshots.format import manifest_path
from tests.snapshots.cases import RESIDUAL, Live, assert_same, update_of, writer

WRITTEN = Path(__file__).parent / "format_1"
THETA = [
    "240668ddd3aa106213cda3cf8e540cc086fd5b7d085eb0b381237b0cac8f827a",
    "6ea6c8060e52938cc90256d9c118bcbaf7da89663759f9a30a21e9f377628410",
    "34497421ddf6177d8ab073056a00a9fdd369817308dca3a7e7d9edeb1888617a",
    "0a8e25b550bec1218fdd1b064d9d385cae3e2cb4be01b46d0b57a54b313ee77c",
]
"""SHA-256 of all parameters [U + I, K] of each version, as the program that wrote them had them."""


@pytest.fixture
def old(tmp_path: Path) -> Store:
    return open_store(Path(shutil.copytree(WRITTEN, tmp_path / "store")).as_uri())


def theta(version: Version) -> str:
    return hashlib.sha256(version.parameters.stacked().numpy().tobytes()).hexdigest()


def erase(live: Live, state: FullState, user: int, items: Sequence[int], full: bool) -> Change:
    deletion = live.dataset.delete(live.dataset.of_user(user))
    live.tables.user[user] = 0
    live.tables.item[items] += 0.5
    return Change(
        update=update_of(live.tables, [user], items),
        deletion=deletion,
        positions={"events.jsonl": {0: 400 + user}},
        events=[f"hash {user}"],
        residual=RESIDUAL,
        receipts=[b"{}"],
        full=state if full else None,
    )


def test_every_version_is_read_as_it_was_written(old: Store) -> None:
    reader = Reader(old)
    versions = [reader.load(number) for number in (1, 2, 3, 4)]
    assert [theta(version) for version in versions] == THETA
    assert [version.manifest.retained for version in versions] == [56, 51, 50, 50]
    assert [theta(reader.advance(versions[0], number)) for number in (1, 2, 3, 4)] == THETA
    newest = reader.load().manifest
    assert (newest.version, newest.schema_version, newest.positions) == (4, 1, {"events.jsonl": {0: 317}})
    assert (newest.epoch, newest.parent_sha256, newest.hash_key_id, newest.tables) == (0, None, None, {})
    assert versions[3].dataset.users.row("user 3") is None


def test_requests_and_receipts_are_there(old: Store) -> None:
    reader = Reader(old)
    assert [len(reader.manifest(number).hashes) for number in (1, 2, 3, 4)] == [0, 1, 2, 0]
    assert [b'"request_id":"first"' in receipt for receipt in reader.receipts(2)] == [True]
    assert [len(reader.receipts(number)) for number in (1, 2, 3, 4)] == [0, 1, 2, 0]


def test_deltas_and_full_versions_of_today_stand_on_it(old: Store) -> None:
    held = Reader(old).load()
    live, by, manifest = Live.of(held), writer(old), held.manifest
    state = FullState(manifest.model, live.tables, live.dataset)
    for user, full in ((1, False), (2, False), (5, True), (7, False)):
        parent = hashlib.sha256(old.get(manifest_path(manifest.version))).hexdigest()
        manifest = by.commit(manifest, erase(live, state, user, [0, 4], full))
        assert (manifest.schema_version, manifest.epoch, manifest.parent_sha256) == (3, 1, parent)
        assert_same(Reader(old).load(), live)
        assert_same(held := Reader(old).advance(held), live)
    assert manifest.positions == {"events.jsonl": {0: 407}}
    assert {name: table.rows for name, table in manifest.tables.items()} == {"user": 12, "item": 10}
    assert Reader(old).load(4).manifest.schema_version == 1


def test_a_version_of_format_1_is_held_to_its_bytes_once_a_later_format_follows_it(old: Store) -> None:
    held = Reader(old).load()
    live = Live.of(held)
    writer(old).commit(held.manifest, erase(live, FullState(held.manifest.model, *vars(live).values()), 1, [0], False))
    old.put(manifest_path(4), old.get(manifest_path(4)) + b"\n")
    with pytest.raises(ForkedHistory, match=manifest_path(5)):
        Reader(old).load()


def test_a_tombstone_of_format_1_is_a_collected_version_without_receipts(old: Store) -> None:
    old.put(manifest_path(2), b'{"collected": true, "version": 2}')
    for read in (Reader(old).manifest, Reader(old).receipts):
        with pytest.raises(NoVersion, match="version 2 was collected"):
            read(2)


def test_arrays_of_a_version_have_the_shapes_of_format_2(old: Store) -> None:
    arrays = Reader(old).load(1).arrays()
    assert arrays["user.embedding"].shape == (12, 3)
    assert arrays["user.bias"].shape == (12, 1)
    assert np.isfinite(arrays["item.bias"]).all()
