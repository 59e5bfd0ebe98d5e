"""The service on a real store, a real file and the real engine, in this process."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ifru.models.lightgcn import LightGCNConfig
from ifru.snapshots import CommitLost, Position, Reader, Source, open_store
from ifru.snapshots.format import manifest_path
from ifrud.problems import InvalidSettings
from ifrud.requests.intake import TooManyBadEvents
from ifrud.service import QUIET_POLL
from ifrud.streams.sources import Event, LostEventsError, SourceError
from ifrud.streams.sources.jsonl import JsonlSource
from tests.daemon.world import World, distinct, erase_pairs, erase_user, pairs, request
from tests.fixtures.failing_store import Crash, FailingStore

FORMAT_1 = Path(__file__).parent.parent / "snapshots/format_1"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def sorted_pairs(world: World) -> list[tuple[str, str]]:
    return sorted(pairs(world.newest().dataset))


def test_requests_become_a_version_and_receipts(world: World) -> None:
    before = pairs(world.newest().dataset)
    world.submit(erase_user("r1", 3), erase_user("r2", 5))
    world.drain()
    after = pairs(world.newest().dataset)
    assert after == Counter({pair: n for pair, n in before.items() if pair[0] not in ("user 3", "user 5")})
    assert [(r["request_id"], r["state"], r["version"]) for r in world.receipts()] == [
        ("r1", "published", 3),
        ("r2", "published", 3),
    ]
    assert [len(manifest.events) for manifest in world.manifests()] == [0, 0, 2]


def test_a_second_start_goes_on_where_the_newest_version_ends(world: World) -> None:
    world.submit(erase_user("r1", 3))
    world.drain()
    world.submit(erase_user("r2", 5))
    world.drain()
    assert [len(manifest.events) for manifest in world.done()] == [0, 1, 1]
    assert {name: len(ids) for name, ids in distinct(world.receipts()).items()} == {"r1": 1, "r2": 1}


def test_a_store_of_format_1_is_gone_on_from(world: World, tmp_path: Path) -> None:
    old = open_store(Path(shutil.copytree(FORMAT_1, tmp_path / "old")).as_uri())
    # Version 4 has read 317 bytes.
    world.submit(b" " * 316, erase_user("r1", 5))
    world.service(store=old, full_every=2).run(lambda: False, drain=True)
    version = Reader(old).load()
    assert (version.manifest.version, version.manifest.kind, version.manifest.schema_version) == (6, "full", 3)
    claim = Reader(old).manifest(5)
    assert (claim.kind, claim.claims, claim.epoch) == ("delta", 4, 1)
    assert version.dataset.users.row("user 5") is None
    assert [receipt["request_id"] for receipt in world.receipts()] == ["r1"]


def test_what_a_version_owes_is_known_after_a_restart_too(world: World) -> None:
    stays, restarts = world.reporter(), world.reporter()
    world.submit(erase_user("r1", 3))
    world.drain(reporter=stays)
    world.drain(reporter=restarts)
    owed = stays.board.status.residual_influence
    assert owed is not None
    assert 0 < owed < 1
    assert restarts.board.status.residual_influence == pytest.approx(owed, rel=0.01)
    world.submit(erase_user("r2", 5))
    world.drain()
    assert world.newest().manifest.residual.settled == pytest.approx(owed, rel=0.01)


def test_an_unknown_subject_is_told_that_there_was_nothing(world: World) -> None:
    world.submit(erase_user("r1", 1000))
    world.drain()
    (receipt,) = world.receipts()
    assert (receipt["state"], receipt["version"], receipt["residual_influence"]) == ("nothing_to_erase", 3, None)
    assert world.newest().manifest.retained == world.first.retained


def test_a_batch_of_bad_events_alone_is_committed_so_that_it_is_never_read_again(world: World) -> None:
    world.submit(b"{", request("r1", type="erase_user"))
    world.drain()
    world.drain()
    assert [letter["field"] for letter in world.dead_letters()] == ["payload", "subject"]
    assert len(world.done()) == 2


def test_a_repeated_request_changes_nothing_and_gets_its_first_receipt(world: World) -> None:
    world.submit(erase_user("r1", 3), erase_user("r1", 3))
    world.drain()
    world.submit(erase_user("r2", 5), erase_user("r1", 3))
    world.drain()
    assert {name: len(ids) for name, ids in distinct(world.receipts()).items()} == {"r1": 1, "r2": 1}
    assert all(receipt["version"] == 3 for receipt in world.receipts() if receipt["request_id"] == "r1")
    users = {user for user, _ in pairs(world.newest().dataset)}
    assert users & {"user 3", "user 5"} == set()
    assert [len(manifest.events) for manifest in world.done()] == [0, 1, 1]


@pytest.mark.parametrize("batch", [{}, {"max_requests": 1, "max_backlog": 1}], ids=["same batch", "later batch"])
def test_another_request_under_a_used_id_deletes_nothing_and_is_told_to_its_sender(
    world: World, batch: dict[str, int]
) -> None:
    world.submit(erase_user("r1", 3), erase_user("r1", 4), erase_user("r2", 5))
    world.drain(batch=batch)
    users = {user for user, _ in pairs(world.newest().dataset)}
    assert users & {"user 3", "user 4", "user 5"} == {"user 4"}
    assert [receipt["request_id"] for receipt in world.receipts()] == ["r1", "r2"]
    (letter,) = world.dead_letters()
    assert letter["field"] == "id"
    assert "Give each sender a source of its own" in str(letter["reason"])
    assert json.loads(str(letter["payload"]))["subject"] == "user 4"


def test_another_request_under_a_used_id_is_found_after_a_restart(world: World) -> None:
    world.submit(erase_user("r1", 3))
    world.drain()
    world.submit(erase_user("r1", 4), erase_user("r1", 3))
    world.drain()
    assert [letter["field"] for letter in world.dead_letters()] == ["id"]
    assert {name: len(ids) for name, ids in distinct(world.receipts()).items()} == {"r1": 1}


def test_a_crash_before_the_commit_repeats_the_letter_about_a_used_id(world: World) -> None:
    world.submit(erase_user("r1", 3), erase_user("r1", 4))
    # The claim is four writes.
    with pytest.raises(Crash):
        world.drain(store=FailingStore(world.store, crash=(4, "before")))
    world.drain()
    first, second = world.dead_letters()
    assert {**first, "time": None} == {**second, "time": None}
    assert [receipt["request_id"] for receipt in world.receipts()] == ["r1"]


def test_requests_under_used_ids_are_no_bad_events_that_stop_the_daemon(world: World) -> None:
    world.submit(erase_user("r1", 3), b"{", *(erase_user("r1", user) for user in range(4, 10)), b"{")
    world.drain(max_consecutive_bad=2)
    assert [letter["field"] for letter in world.dead_letters()].count("id") == 6


def test_a_request_that_an_older_release_answered_is_taken_for_the_same(world: World) -> None:
    world.submit(erase_user("r1", 3))
    world.drain()
    path = manifest_path(3)
    document = json.loads(world.store.get(path))
    document["events"] = [{**event, "fingerprint": None} for event in document["events"]]
    world.store.put(path, json.dumps(document).encode())
    world.submit(erase_user("r1", 4))
    world.drain()
    assert world.dead_letters() == []
    assert {name: len(ids) for name, ids in distinct(world.receipts()).items()} == {"r1": 1}


def test_requests_of_two_sources_are_two_requests_though_their_ids_agree(world: World) -> None:
    both = [request("1", type="erase_user", subject=f"user {user}", source=f"shop {user}") for user in (3, 4)]
    world.submit(*both)
    world.drain()
    assert [receipt["source"] for receipt in world.receipts()] == ["shop 3", "shop 4"]
    assert {user for user, _ in pairs(world.newest().dataset)} & {"user 3", "user 4"} == set()


def test_two_requests_for_the_same_rows_in_one_batch_delete_them_once(world: World) -> None:
    pair = sorted_pairs(world)[0]
    world.submit(erase_pairs("r1", [pair]), erase_pairs("r2", [pair, pair]))
    world.drain()
    newest = world.newest().manifest
    assert newest.retained + newest.holdout == world.first.retained + world.first.holdout - 1


def test_full_versions_come_between_deltas_and_deletions_after_them_hit_the_right_rows(world: World) -> None:
    chosen = sorted_pairs(world)[::60]
    expected = pairs(world.newest().dataset)
    service_changes = {"batch": {"max_requests": 1, "max_backlog": 1}, "full_every": 3}
    world.submit(*(erase_pairs(f"r{number}", [pair]) for number, pair in enumerate(chosen)))
    world.drain(**service_changes)
    for pair in chosen:
        del expected[pair]
    assert pairs(world.newest().dataset) == expected
    assert {manifest.kind for manifest in world.manifests()[1:]} == {"delta", "full"}
    assert [m.version for m in world.manifests() if m.kind == "full"] == [1, 4, 7, 10]


def test_too_many_bad_events_in_a_row_stop_the_daemon_before_they_are_passed(world: World) -> None:
    world.submit(erase_user("r1", 3), *[b"{"] * 5, erase_user("r2", 4))
    with pytest.raises(TooManyBadEvents, match=r"4 events in a row .* max_consecutive_bad"):
        world.drain(max_consecutive_bad=4)
    assert len(world.done()) == 1
    world.drain(max_consecutive_bad=6)
    assert {receipt["request_id"] for receipt in world.receipts()} == {"r1", "r2"}


def test_a_stop_finishes_the_batch_in_hand(world: World) -> None:
    world.submit(*(erase_user(f"r{number}", number) for number in range(3)))
    polls = itertools.count()

    def stop_after_the_first_poll() -> bool:
        return next(polls) > 0

    service = world.service(batch={"idle_ms": 3_600_000, "max_age_ms": 3_600_000})
    service.run(stop_after_the_first_poll, drain=False)
    assert len(world.receipts()) == 3


def test_positions_are_published_with_the_identity_of_their_file(world: World) -> None:
    world.submit(erase_user("r1", 3))
    world.drain()
    content = (world.folder / "events.jsonl").read_bytes()
    recorded = Position(next=len(content), before_sha256=sha256(content).hexdigest())
    assert world.newest().manifest.sources == {"events.jsonl": Source(kind="file", partitions={0: recorded})}


def test_requests_of_another_file_are_skipped_neither_in_silence_nor_once_the_loss_is_accepted(world: World) -> None:
    world.submit(*(erase_user(f"old {number}", number) for number in range(3)))
    world.drain()
    os.truncate(world.folder / "events.jsonl", 0)
    world.submit(*(erase_user(f"new {number}", number) for number in range(3, 9)))
    with pytest.raises(LostEventsError) as caught:
        world.drain()
    world.drain(accept_lost=caught.value.word)
    assert set(distinct(world.receipts())) == {*(f"old {n}" for n in range(3)), *(f"new {n}" for n in range(3, 9))}
    world.submit(erase_user("last", 9))
    world.drain(accept_lost=caught.value.word)
    assert len(distinct(world.receipts())["last"]) == 1


def test_an_accepted_loss_is_settled_by_the_start_itself(world: World) -> None:
    world.submit(erase_user("r1", 3))
    world.drain()
    os.truncate(world.folder / "events.jsonl", 0)
    with pytest.raises(LostEventsError) as caught:
        world.drain()
    world.drain(accept_lost=caught.value.word)
    world.submit(erase_user("r2", 4))
    world.drain()
    assert set(distinct(world.receipts())) == {"r1", "r2"}


def test_events_in_hand_are_answered_when_their_file_is_gone(world: World) -> None:
    world.submit(erase_user("r1", 3))
    polls = itertools.count()

    def file_goes() -> bool:
        if next(polls) == 1:
            (world.folder / "events.jsonl").unlink()
        return False

    with pytest.raises(LostEventsError):
        world.service(batch={"idle_ms": 3_600_000, "max_age_ms": 3_600_000}).run(file_goes, drain=False)
    assert [receipt["request_id"] for receipt in world.receipts()] == ["r1"]


class Asked(JsonlSource):
    """Notes how long it is waited for, and what that brings."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, clock=time.time, wait=lambda seconds: None)
        self.polls: list[tuple[float, int]] = []

    def poll(self, limit: int, timeout: float) -> list[Event]:
        events = super().poll(limit, timeout)
        self.polls.append((timeout, len(events)))
        return events


def test_what_came_during_a_batch_is_taken_without_waiting(world: World) -> None:
    world.submit(erase_user("r1", 3))
    source = Asked(world.folder / "events.jsonl")
    service = world.service(source=source, batch={"idle_ms": 0, "max_age_ms": 0})
    service.run(lambda: len(source.polls) == 3, drain=False)
    assert source.polls == [(QUIET_POLL, 1), (0, 0), (QUIET_POLL, 0)]


class Unacknowledged(JsonlSource):
    def acknowledge(self, positions: Mapping[int, int]) -> None:
        raise SourceError("not authorised")


def test_an_acknowledgement_that_fails_is_a_warning_and_no_end(world: World) -> None:
    world.submit(erase_user("r1", 3))
    source = Unacknowledged(world.folder / "events.jsonl", clock=time.time, wait=time.sleep)
    reporter = world.reporter()
    with capture_logs() as logs:
        world.drain(source=source, reporter=reporter)
    assert [receipt["request_id"] for receipt in world.receipts()] == ["r1"]
    assert reporter.metrics.registry.get_sample_value("ifrud_acknowledgement_failures_total") == 2
    assert [entry["log_level"] for entry in logs if "not authorised" in entry["event"]] == ["warning"] * 2


def test_the_loser_of_a_race_stops_and_names_the_winner(world: World) -> None:
    slow = world.service()
    world.submit(erase_user("r1", 3))
    world.drain()
    with pytest.raises(CommitLost, match=f"version 2 .*attempt {world.manifests()[1].attempt}"):
        slow.run(lambda: False, drain=True)
    assert world.newest().manifest.version == 3


def test_a_device_that_is_not_there_is_a_setting_that_is_wrong(world: World) -> None:
    with pytest.raises(InvalidSettings, match=r"engine\.device: device 'cuda:99' cannot be used here"):
        world.service(engine={"device": "cuda:99"})


def test_a_support_that_the_model_does_not_offer_is_a_setting_that_is_wrong(tmp_path: Path) -> None:
    world = World(tmp_path, config=LightGCNConfig(rank=4, l2=0.1))
    with pytest.raises(InvalidSettings, match=r"engine\.support is 'push'"):
        world.service(engine={"support": "push"})


def test_another_thread_that_has_died_stops_the_service(world: World) -> None:
    def died() -> None:
        raise RuntimeError("the admin server's thread has died")

    with pytest.raises(RuntimeError, match="has died"):
        world.service(check=died).run(lambda: False, drain=False)


@pytest.mark.parametrize("kind", ["before", "after"])
def test_a_crash_at_any_write_leaves_every_deletion_done_once(tmp_path: Path, kind: str) -> None:
    chosen: list[tuple[str, str]] = []
    for crash in itertools.count():
        folder = tmp_path / str(crash)
        folder.mkdir()
        world = World(folder)
        chosen = sorted_pairs(world)[::150]
        expected = pairs(world.newest().dataset) - Counter(chosen)
        world.submit(*(erase_pairs(f"r{number}", [pair]) for number, pair in enumerate(chosen)))
        changes = {"batch": {"max_requests": 2, "max_backlog": 2}}
        store = FailingStore(world.store, crash=(crash, kind))  # type: ignore[arg-type]
        survived = False
        try:
            world.drain(store=store, **changes)
            survived = True
        except Crash:
            world.drain(**changes)
        assert pairs(world.newest().dataset) == expected
        hashes = [hashed for manifest in world.manifests() for hashed in manifest.hashes]
        assert len(hashes) == len(set(hashes)) == len(chosen)
        assert {name: len(ids) for name, ids in distinct(world.receipts()).items()} == {
            f"r{number}": 1 for number in range(len(chosen))
        }
        if survived:
            assert crash > 3 * len(chosen) // 2
            return


def test_the_status_board_and_the_metrics_tell_what_was_done(world: World) -> None:
    reporter = world.reporter()
    world.submit(erase_user("r1", 3), erase_user("r2", 1000), b"{", erase_user("r1", 3))
    world.drain(reporter=reporter)
    status = reporter.board.status
    assert (status.version, status.batches, status.requests, status.nothing_to_erase) == (3, 1, 2, 1)
    assert (status.duplicates, status.dead_letters) == (1, 1)
    assert status.retained_interactions == world.newest().manifest.retained
    values = {
        (sample.name, *sample.labels.values()): sample.value
        for family in reporter.metrics.registry.collect()
        for sample in family.samples
    }
    assert values["ifrud_requests_total", "published"] == 1
    assert values["ifrud_requests_total", "nothing_to_erase"] == 1
    assert values["ifrud_dead_letters_total", "payload"] == 1
    assert values["ifrud_version",] == 3
    assert values["ifrud_request_latency_seconds_count",] == 3
    assert values["ifrud_request_age_seconds_count",] == 2
    assert values["ifrud_version_timestamp_seconds",] == world.newest().manifest.time.timestamp()
    assert values["ifrud_model_info", "mf"] == 1
    written = sum(len(world.store.get(file.path)) for file in world.newest().manifest.files)
    assert values["ifrud_published_bytes_total", "delta"] >= written
    assert values["ifrud_deleted_interactions_total", "train"] == world.first.retained - status.retained_interactions
    cache = {key[1]: value for key, value in values.items() if key[0] == "ifrud_engine_cache_rows_total"}
    assert set(cache) == {"hits", "misses", "rebuilds", "down_dates", "evictions", "gram"}
    assert cache["hits"] > 0
    assert cache["misses"] > 0
    stages = {key[1] for key in values if key[0] == "ifrud_stage_seconds_count"}
    assert stages == {
        "poll", "decode", "dead_letters", "resolve", "update", "commit", "receipts", "hint", "settle", "acknowledge"
    }  # fmt: skip


def test_the_log_sentence_says_what_and_why_and_names_nobody(world: World) -> None:
    reporter = world.reporter()
    world.submit(erase_user("r1", 3), erase_user("r2", 1000))
    world.drain(reporter=reporter)
    sentence = reporter.board.status.last_version
    assert sentence is not None
    assert sentence.startswith("version 3 answers 2 events: 1 deleted ")
    assert "1 found nothing to erase; the batch closed because no more events came; the update (" in sentence
    assert not {"r1", "r2", "user 3", "user 1000"} & set(sentence.replace(",", " ").split())
    assert Reader(world.store).newest() == 3
