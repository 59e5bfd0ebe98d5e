"""A backup was restored under a prefix: whoever holds a version of the lost history is told so, reader and writer."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ifru.snapshots import ForkedHistory, HistoryReplaced, Manifest, Reader, Store, Version, encode_tombstone
from ifru.snapshots.format import manifest_path
from tests.fixtures.failing_store import RecordingStore
from tests.snapshots.cases import Live, assert_same, no_sleep, writer

BACKED_UP, LOST = 3, 5


class Restored:
    """A store whose versions 4 and 5 are lost, as a backup of version 3 was restored."""

    def __init__(self, store: Store, full_at: int | None = None) -> None:
        self.store, self._full_at = store, full_at
        self.live, by = Live.new(), writer(store, "lost")
        manifests = [self.live.start(by)]
        for version in range(2, LOST + 1):
            if version == BACKED_UP + 1:
                self.backup, self.kept = {path: store.get(path) for path in store.list("")}, self.live.copy()
            manifests.append(by.commit(manifests[-1], self.live.erase(version, version)))
        self.manifests = manifests
        self.held = {number: Reader(store).load(number) for number in range(1, LOST + 1)}
        for path in store.list(""):
            if path in self.backup:
                store.put(path, self.backup[path])
            else:
                store.delete(path)

    def go_on(self, count: int, full_at: int | None = None) -> None:
        """Other versions in the place of the lost ones."""
        newest, by = self.manifests[BACKED_UP - 1], writer(self.store, "new")
        for number in range(BACKED_UP + 1, BACKED_UP + count + 1):
            newest = by.commit(newest, self.kept.erase(7 - (number - BACKED_UP), number, full=number == full_at))


def advance(reader: Reader, held: Version) -> Version:
    return reader.advance(held)


def watch(reader: Reader, held: Version) -> Version:
    return next(reader.watch(1, no_sleep("there is something to say"), held))


@pytest.mark.parametrize("follow", [advance, watch])
@pytest.mark.parametrize(("written", "full_at"), [(0, None), (1, None), (2, None), (3, None), (3, 5), (3, 6), (4, 6)])
def test_a_follower_is_told_what_happened_and_what_to_do(
    memory: Store, follow: Callable[[Reader, Version], Version], written: int, full_at: int | None
) -> None:
    restored = Restored(memory)
    restored.go_on(written, full_at)
    gone = "does not exist any more" if written < 2 else "is another version 5"
    with pytest.raises(ForkedHistory, match=rf"{manifest_path(5)} {gone}.*restored from a backup.*newest") as told:
        follow(Reader(memory), restored.held[LOST])
    assert isinstance(told.value, HistoryReplaced)
    assert_same(Reader(memory).load(), restored.kept)


@pytest.mark.parametrize("full_at", [None, 5])
def test_a_follower_that_holds_a_version_of_both_histories_goes_on(memory: Store, full_at: int | None) -> None:
    restored = Restored(memory)
    restored.go_on(2, full_at)
    for number in range(1, BACKED_UP + 1):
        assert_same(Reader(memory).advance(restored.held[number]), restored.kept)


def test_an_older_version_can_be_asked_for_whatever_is_held(memory: Store) -> None:
    restored = Restored(memory)
    assert Reader(memory).advance(restored.held[LOST], 2).manifest == restored.manifests[1]


def test_a_version_that_was_collected_is_kept(memory: Store) -> None:
    live, by = Live.new(), writer(memory)
    first = live.start(by)
    held = Reader(memory).load()
    by.commit(first, live.erase(1, full=True))
    memory.put(manifest_path(1), encode_tombstone(first))
    assert_same(Reader(memory).advance(held), live)


def test_a_look_that_finds_nothing_new_takes_two_requests(memory: Store) -> None:
    Live.new().start(writer(memory))
    held, store = Reader(memory).load(), RecordingStore(memory)
    assert Reader(store).advance(held) is held
    assert store.calls == [("exists", manifest_path(2)), ("get", manifest_path(1))]


@pytest.mark.parametrize("written", [0, 1, 2, 3])
def test_a_writer_of_the_lost_history_leaves_no_hole_and_no_fork(memory: Store, written: int) -> None:
    restored = Restored(memory)
    restored.go_on(written)
    manifests = memory.list("manifests")
    with pytest.raises(HistoryReplaced, match=manifest_path(5)):
        writer(memory, "asleep").commit(restored.manifests[-1], restored.live.erase(1, 6))
    assert memory.list("manifests") == manifests
    assert_same(Reader(memory).load(), restored.kept)


def without(store: Store, version: int) -> None:
    store.delete(manifest_path(version))


def other_bytes(store: Store, version: int) -> None:
    store.put(manifest_path(version), store.get(manifest_path(version)) + b" ")


def other_tombstone(store: Store, version: int) -> None:
    other: Manifest = Reader(store).manifest(version).model_copy(update={"sha256": "ab" * 32})
    store.put(manifest_path(version), encode_tombstone(other))


@pytest.mark.parametrize("change", [without, other_bytes, other_tombstone])
def test_who_starts_on_a_version_checks_the_one_before_it(memory: Store, change: Callable[[Store, int], None]) -> None:
    live, by = Live.new(), writer(memory)
    first = live.start(by)
    newest = by.commit(first, live.erase(1, full=True))
    Reader(memory).check_parent(newest)
    Reader(memory).check_parent(first)
    change(memory, 1)
    assert_same(Reader(memory).load(), live)
    with pytest.raises(ForkedHistory, match=manifest_path(2)):
        Reader(memory).check_parent(newest)
