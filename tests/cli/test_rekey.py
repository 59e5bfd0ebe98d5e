"""`ifru rekey`: hashes are made anew by a key that holds the old one; nothing that they are for is forgotten."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ifru.requests import EraseUser
from ifru.snapshots import (
    CommitLost,
    Reader,
    WrongHashKey,
    event_hash,
    fingerprint,
    hash_key_of,
    read_hash_key,
)
from ifru.snapshots.audit import audit
from ifru.snapshots.hash_key import (
    HASH_KEY,
    KEY_BYTES,
    PAIR_BITS,
    pair_hash,
    pairs_of,
    rehashed,
    rehashed_fingerprint,
    rehashed_pair,
    subject_hash,
)
from ifru.suppression import Suppression
from tests.cli.test_next_version import Run, erased_some, ifru, names, original, url, world
from tests.daemon.world import TIME, World, erase_user, pairs, request, trained_dataset
from tests.fixtures.failing_store import Crash, FailingStore, RecordingStore
from tests.simulation.rotation import rotate

__all__ = ["ifru", "original", "url", "world"]
KEYS = st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES)
NAMES = st.text(min_size=1, max_size=5).map(lambda text: text.encode("utf-8", "replace"))


@given(KEYS, KEYS, KEYS, NAMES, NAMES)
def test_what_is_hashed_again_is_what_the_rotated_key_makes_of_the_ids(
    first: bytes, second: bytes, third: bytes, user: bytes, item: bytes
) -> None:
    asked = EraseUser(id="r1", source="crm", time=TIME, type="erase_user", subject=repr(user))
    for old, new in ((first, second), (first + second, third)):
        assert rehashed(new, int(event_hash(old, "crm", "r1")[:16], 16)) == int(
            event_hash(old + new, "crm", "r1")[:16], 16
        )
        short = int(fingerprint(old, asked)[:8], 16)
        assert rehashed_fingerprint(new, short) == (int(fingerprint(old + new, asked)[:8], 16) if short else 0)
        assert rehashed(new, subject_hash(old, "user", user)) == subject_hash(old + new, "user", user)
        pair = pair_hash(old + new, user, item)
        assert rehashed_pair(new, pair_hash(old, user, item)) == pair
        assert pair >> PAIR_BITS == pairs_of(old + new, user)


def test_after_a_rotation_requests_are_known_and_who_was_erased_stays_out(
    world: World, url: str, original: Path, ifru: Run
) -> None:
    world.submit(request("before", type="erase_user", subject="user 8"))
    erased_some(world)
    old, left = read_hash_key(world.store), pairs(world.newest().dataset)
    for _ in range(2):
        before = world.newest().manifest
        done = ifru("rekey", url)
        newest = world.newest().manifest
        assert (newest.version, newest.kind, newest.hash_key_id) == (before.version + 1, "full", done["hash_key_id"])
        assert (pairs(world.newest().dataset), newest.sources) == (left, before.sources)
    assert audit(world.store).sound
    ifru("collect", url, "--older-than", "0s")
    told = {said["request_id"]: said["id"] for said in world.receipts()}
    world.submit(erase_user("r1", 3), erase_user("r4", 98), request("back", type="release", subject="user 8"))
    world.drain()
    assert {said["id"] for said in world.receipts() if said["request_id"] == "r1"} == {told["r1"]}
    assert [letter["field"] for letter in world.dead_letters()] == ["id"]
    ifru("train", original, "--out", f"{url}-new", "--label", "liked", "--l2", 0.1, "--rank", 5)
    ifru("adopt", url, "--from", f"{url}-new")
    back = [pair for pair in pairs(trained_dataset()) if pair[0] == "user 8" and pair[1] != "item 5"]
    assert pairs(world.newest().dataset) == left + type(left)(back)
    _nothing_by(old, world)


def _nothing_by(key: bytes, world: World) -> None:
    """Who has the old key alone finds nobody in the newest version."""
    reader, newest = Reader(world.store), world.newest().manifest
    listed = set(reader.suppressed(newest).hash.tolist())
    assert listed
    assert listed.isdisjoint({subject_hash(key, "user", b'"user 3"'), subject_hash(key, "item", b'"item 5"')})
    known = {hashed for _, run in reader.answered(newest) for hashed in run.hashes.tolist()}
    assert known
    assert known.isdisjoint({int(event_hash(key, "", f"r{number}")[:16], 16) for number in range(9)})


def test_what_is_held_stays_held_over_a_rotation_and_its_id_stays_its_own(world: World, url: str, ifru: Run) -> None:
    world.submit(erase_user("r1", 3))
    world.drain(brake_share=0)
    ifru("rekey", url)
    world.submit(erase_user("r1", 4), erase_user("r1", 3))
    world.drain(brake_share=0)
    assert len({said["id"] for said in world.receipts()}) == 1
    assert [letter["field"] for letter in world.dead_letters()] == ["id"]
    world.submit(request("yes", type="approve", request={"id": "r1"}))
    world.drain(brake_share=0)
    assert "user 3" not in names(world.store)[0]
    assert world.newest().manifest.held == ()


def test_a_key_that_lies_outside_is_rotated_into_a_new_file_which_the_daemon_then_needs(
    world: World, url: str, tmp_path: Path, ifru: Run
) -> None:
    erased_some(world)
    old, new = tmp_path / "old.json", tmp_path / "new"
    old.write_bytes(world.store.get(HASH_KEY))
    world.store.delete(HASH_KEY)
    assert "--new-key-file" in ifru("rekey", url, "--hash-key-file", old, code=2)
    ifru("rekey", url, "--hash-key-file", old, "--new-key-file", new)
    assert (new.stat().st_mode & 0o777, [path for path in world.store.list("") if "key" in path]) == (0o600, [])
    assert "exists" in ifru("rekey", url, "--hash-key-file", new, "--new-key-file", new, code=2)
    with pytest.raises(WrongHashKey, match="ifru rekey"):
        world.drain(hash_key_file=old)
    world.submit(erase_user("r1", 3), erase_user("r4", 98))
    world.drain(hash_key_file=new)
    assert [letter["field"] for letter in world.dead_letters()] == ["id"]
    assert len(Suppression.read(world.store, bytes.fromhex(new.read_text())).rows(trained_dataset())) > 0


def test_a_rotation_that_dies_at_any_write_leaves_versions_whose_key_is_known(tmp_path: Path) -> None:
    for crash in itertools.count():
        folder = tmp_path / str(crash)
        folder.mkdir()
        world = World(folder)
        erased_some(world)
        store = FailingStore(world.store, crash=(crash, "after" if crash % 2 else "before"))
        survived = False
        try:
            rotate(store, bytes(range(KEY_BYTES)), lambda: TIME)
            survived = True
        except Crash:
            hash_key_of(world.store, world.newest().manifest.hash_key_id)
        world.submit(erase_user("r1", 3), erase_user("r4", 98))
        world.drain()
        assert [letter["field"] for letter in world.dead_letters()] == ["id"]
        rotate(world.store, bytes(KEY_BYTES), lambda: TIME)
        assert len(Suppression.read(world.store).rows(world.newest().dataset)) == 0
        if survived:
            assert crash > 6
            return


def test_of_two_rotations_at_once_one_is_told_and_no_key_is_lost(world: World) -> None:
    erased_some(world)
    rivals = [bytes(KEY_BYTES)]

    def another(operation: str, path: str) -> None:
        if operation == "create" and rivals:
            rotate(world.store, rivals.pop(), lambda: TIME)

    with pytest.raises(CommitLost):
        rotate(RecordingStore(world.store, another), bytes(range(KEY_BYTES)), lambda: TIME)
    key = hash_key_of(world.store, world.newest().manifest.hash_key_id)
    assert key.endswith(bytes(KEY_BYTES))
    world.submit(erase_user("r4", 98))
    world.drain()
    assert [letter["field"] for letter in world.dead_letters()] == ["id"]
