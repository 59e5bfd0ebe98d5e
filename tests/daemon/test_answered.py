"""Requests that were answered get their first receipt again, whatever has become of the version that answered them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ifru.requests import EraseUser
from ifru.snapshots import Event, File, Manifest, Reader, Run, State, encode_tombstone
from ifru.snapshots.answered import STATES
from ifru.snapshots.format import manifest_path
from ifrud.requests.answered import Answered
from ifrud.requests.answered_loading import CHUNK
from tests.daemon.world import World, erase_user
from tests.fixtures.failing_store import RecordingStore

START = datetime(2026, 11, 21, 10, 0, 0, 123456, tzinfo=UTC)
ALONE = {"batch": {"max_requests": 1, "max_backlog": 1}}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def at(day: float) -> Callable[[], datetime]:
    return lambda: START + timedelta(days=day)


def lines(world: World, request: str) -> set[bytes]:
    """Distinct receipts of a request, as they were sent."""
    sent = (world.folder / "receipts.jsonl").read_bytes().splitlines()
    return {line for line in sent if f'"request_id":"{request}"'.encode() in line}


def segments(world: World) -> list[list[int]]:
    """For each version the counts of the segments that it names."""
    return [[segment.count for segment in manifest.answered] for manifest in world.manifests()]


def test_each_full_version_stores_what_was_answered_before_it_and_merges_what_is_small(world: World) -> None:
    world.submit(*(erase_user(f"r{number}", number) for number in range(9)))
    world.drain(**ALONE, full_every=2)
    # Versions 1, 3, 5, 7, 9 and 11 are full; each holds the requests of the versions before it. Version 2 is the claim.
    assert segments(world) == [[], [], [], [], [2], [2], [4], [4], [4, 2], [4, 2], [8]]
    newest = world.manifests()[-1]
    (segment,) = newest.answered
    assert (segment.first, segment.last, segment.role) == (3, 10, "answered")
    assert segment.path.startswith("answered/000000000011-")
    assert not [file for manifest in world.manifests() for file in manifest.files if file.role == "answered"]


@pytest.mark.parametrize("full_every", [1, 2, 100])
def test_a_receipt_that_is_sent_again_is_the_same_bytes(world: World, full_every: int) -> None:
    requests = [erase_user(f"r{number}", number % 6) for number in range(8)]
    world.submit(*requests)
    world.drain(**ALONE, full_every=full_every, engine={"tolerance": 0.5})
    world.submit(*requests)
    world.drain(full_every=full_every)
    newest = world.newest().manifest
    assert newest.events == ()
    assert len(Reader(world.store).receipts(newest.version)) == 8
    assert [len(lines(world, f"r{number}")) for number in range(8)] == [1] * 8


def collect(world: World, below: int) -> None:
    """What a collector does with all versions below one, and with files that no version names any more."""
    reader = Reader(world.store)
    retained = [reader.manifest(version) for version in range(below, reader.newest() + 1)]
    needed = {segment.path for manifest in retained for segment in manifest.answered}
    for version in range(1, below):
        manifest = reader.manifest(version)
        world.store.put(manifest_path(version), encode_tombstone(manifest))
        gone: list[File] = [file for file in manifest.files if file.role != "ledger"]
        gone += [segment for segment in manifest.answered if segment.path not in needed]
        for file in gone:
            world.store.delete(file.path)


@pytest.mark.parametrize("segments_lost", [False, True], ids=["from segments", "from the ledgers of an older release"])
def test_requests_of_collected_versions_are_still_known(world: World, segments_lost: bool) -> None:
    requests = [erase_user(f"r{number}", number) for number in range(5)]
    world.submit(*requests)
    world.drain(**ALONE, full_every=3)
    newest = world.newest().manifest
    assert (newest.version, newest.base) == (7, 7)
    collect(world, below=7)
    if segments_lost:
        forget_segments(world, newest)
    world.submit(*requests)
    world.drain()
    assert [len(lines(world, f"r{number}")) for number in range(5)] == [1] * 5
    # Of a collected version the fingerprints are gone where no segment has them.
    world.submit(erase_user("r0", 20), erase_user("r4", 20))
    world.drain()
    assert len(world.dead_letters()) == (1 if segments_lost else 2)


def forget_segments(world: World, newest: Manifest) -> None:
    """Make the newest version one that an older release has written, which takes no notice of segments."""
    document = newest.model_dump_json(exclude={"answered"})
    world.store.put(manifest_path(newest.version), document.encode())


def test_what_a_request_asked_for_is_remembered_in_segments_too(world: World) -> None:
    world.submit(erase_user("r1", 3), erase_user("r2", 4))
    world.drain(**ALONE, full_every=2)
    collect(world, below=3)
    world.submit(erase_user("r1", 5))
    world.drain()
    (letter,) = world.dead_letters()
    assert letter["field"] == "id"


def test_requests_are_remembered_for_days_and_not_for_versions(world: World) -> None:
    world.submit(erase_user("r1", 3))
    world.drain(utc=at(0))
    for day in range(1, 41):
        world.submit(erase_user(f"other {day}", 1000))
        world.drain(utc=at(day), full_every=2, remember_days=30)
    assert newest_counts(world)[0] < 40
    for day, request in ((41, "r1"), (41, "other 30")):
        world.submit(erase_user(request, 3 if request == "r1" else 1000))
        world.drain(utc=at(day), full_every=2, remember_days=30)
    assert (len(lines(world, "other 30")), len(lines(world, "r1"))) == (1, 2)


def newest_counts(world: World) -> list[int]:
    return [sum(counts) for counts in segments(world)[-1:]]


def test_a_start_reads_segments_and_newer_ledgers_and_no_older_version(world: World) -> None:
    world.submit(*(erase_user(f"r{number}", number) for number in range(8)))
    world.drain(**ALONE, full_every=3)
    assert world.newest().manifest.answered[-1].last == 9
    recording = RecordingStore(world.store)
    world.drain(store=recording)
    read = [path for operation, path in recording.calls if operation == "get"]
    assert [path for path in read if path.startswith("ledger/")] != []
    assert {int(path.split("/")[1][:12]) for path in read if path.startswith("ledger/")} == {10}
    assert len([path for path in read if path.startswith("answered/")]) == len(world.newest().manifest.answered)


def test_many_requests_that_are_sent_again_are_answered_without_a_read(world: World) -> None:
    requests = [erase_user(f"r{number}", number) for number in range(12)]
    world.submit(*requests)
    world.drain(**ALONE, full_every=3)
    world.submit(*requests)
    recording = RecordingStore(world.store)
    service = world.service(store=recording)
    before = len(recording.calls)
    service.run(lambda: False, drain=True)
    # The ledger of the newest version, whose receipts are repeated, with its manifest; and the parents of the claim and
    # of the version that answers.
    reads = [call for call in recording.calls[before:] if call[0] == "get"]
    assert len(reads) <= 4


def test_without_segments_ledgers_are_read_as_far_back_as_requests_are_remembered(world: World) -> None:
    for day, name in ((0, "long ago"), (80, "lately")):
        world.submit(erase_user(name, 3 + day))
        world.drain(utc=at(day), full_after_s=10**9)
    for number in range(CHUNK):
        world.submit(erase_user(f"r{number}", 1000))
    world.drain(**ALONE, utc=at(81), full_every=1000, full_after_s=10**9)
    recording = RecordingStore(world.store)
    service = world.service(store=recording, utc=at(100), remember_days=10)
    assert len([path for _, path in recording.calls if path.startswith("ledger/")]) == CHUNK
    assert len(service.pipeline.answered) == CHUNK


Batch = list[tuple[int, State]]
BATCHES = st.lists(
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from(STATES)), max_size=6, unique_by=lambda pair: pair[0]),
    max_size=25,
)


def named(number: int) -> Event:
    return Event(hash=f"{number * 7919:016x}", fingerprint=f"{number:x}")


@settings(max_examples=150, deadline=None)
@given(batches=BATCHES, full=st.lists(st.booleans(), min_size=25, max_size=25), limit=st.integers(1, 40))
def test_the_index_is_a_dictionary_of_the_newest_answers(batches: list[Batch], full: list[bool], limit: int) -> None:
    answered, known = Answered(b"key", 90, limit), {}
    manifest: Any = Versioned(1, ())
    for batch, is_full in zip(batches, full, strict=False):
        stored = answered.to_store(manifest, START, is_full)
        version = manifest.version + 1
        manifest = Versioned(version, manifest.answered if stored is None else stored.segments(file(version, stored)))
        if stored is not None:
            answered.stored(manifest, stored)
        events, states = [named(number) for number, _ in batch], [state for _, state in batch]
        answered.add(Run.of_version(version, at(version)(), version / 8 or None, events, states))
        known |= {number: (state, version) for number, state in batch}
    found = answered.find([named(number) for number in range(50)])
    for number, first in enumerate(found):
        if first is None:
            assert number not in known
        else:
            assert (first.state, first.version) == known[number]
            assert (first.time, first.residual) == (at(first.version)(), first.version / 8)
            assert first.fingerprint == number
    assert all(segment.count <= limit + 6 for segment in manifest.answered)
    covered = [segment.last for segment in manifest.answered]
    assert covered == sorted(covered)


class Versioned:
    def __init__(self, version: int, answered: tuple[Any, ...]) -> None:
        self.version = version
        self.answered = answered


def file(version: int, stored: Any) -> File | None:
    return File.of("answered", version, "a", b"") if len(stored.added) else None


def test_a_lone_request_takes_26_bytes_and_one_of_many_16() -> None:
    alone, together = Answered(b"key", 90), Answered(b"key", 90)
    for number in range(4096):
        version, time = 3 * number + 2, START + timedelta(seconds=8 * number)
        alone.add(Run.of_version(version, time, number / 4096, [named(number)], ["published"]))
    together.add(Run.of_version(2, START, 0.1, [named(number) for number in range(4096)], ["published"] * 4096))
    assert alone.nbytes <= 26 * 4096
    assert together.nbytes <= 16.01 * 4096


def test_a_request_is_told_from_others_by_its_identity_alone() -> None:
    answered = Answered(b"key", 90)
    first = EraseUser(type="erase_user", id="1", source="a", subject="u", time=START)
    other = first.model_copy(update={"source": "b"})
    answered.add(Run.of_version(2, START, None, [answered.event(first)], ["published"]))
    found = answered.find([answered.event(other), answered.event(first)])
    assert found[0] is None
    assert found[1] is not None
    assert found[1].residual is None
