"""Every kind of event gets its receipt, from a file and from Kafka; malformed ones become dead letters."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from kafka import KafkaProducer

from ifru.interactions import Dataset, Deletion
from ifru.models import model_of
from ifrud.observe.metrics import Metrics
from ifrud.streams.outboxes import Record
from tests.daemon.world import TIME, Pair, World, erase_pairs, erase_user, pairs, request
from tests.fixtures.kafka import Kafka
from tests.fixtures.streams import Opener, Stream
from tests.models.unlabelled import UnlabelledConfig

COLUMNS = {"debezium_user": "user_id", "debezium_item": "item_id"}
DEBEZIUM = {"tombstones": "none", **COLUMNS}


def deleted(user: object, item: object, **changes: object) -> dict[str, object]:
    """A change event of Debezium."""
    row = {"user_id": user, "item_id": item}
    return {"before": row, "after": None, "op": "d", "ts_ms": 1_763_719_200_250, **changes}


def coded(*documents: object) -> list[bytes]:
    return [json.dumps(document).encode() for document in documents]


def relabelled(dataset: Dataset, pair: Pair, label: float) -> Deletion:
    user, item = dataset.users.row(pair[0]), dataset.items.row(pair[1])
    assert user is not None
    assert item is not None
    return dataset.relabelled([(user, item)], label)


def labels_of(dataset: Dataset, pair: Pair) -> set[float]:
    user, item = dataset.users.row(pair[0]), dataset.items.row(pair[1])
    assert user is not None
    assert item is not None
    tables = dataset.train, dataset.holdout
    return {float(table.label[row]) for table in tables for row in table.rows_of_pairs([(user, item)])}


def by_request(receipts: Sequence[dict[str, Any]]) -> dict[str, str]:
    return {receipt["request_id"]: receipt["state"] for receipt in receipts}


def test_every_kind_of_event_gets_its_receipt_and_every_malformed_one_its_letter(
    stream: Stream, open_: Opener, tmp_path: Path
) -> None:
    world = World(tmp_path, timed=True)
    before = pairs(world.newest().dataset)
    of_five = [pair for pair in before if pair[0] == "user 5"]
    row, wrapped, listed = [next(pair for pair in before if pair[0] == f"user {n}") for n in (6, 7, 8)]
    corrected = next(pair for pair in before if pair[0] == "user 9" and pair[1] != "item 2")
    train = world.newest().dataset.train
    assert train.time is not None
    older = datetime.fromtimestamp(int(train.time[train.rows_of_user(4)[2]]) / 1e6, UTC)
    stream.append(
        erase_user("whole", 3),
        request(
            "old", type="erase_before", subject="user 4", before=older.isoformat(), deadline="2026-12-21T00:00:00Z"
        ),
        request("item", type="erase_item", subject="item 2"),
        erase_pairs("listed", [listed]),
        request("label", type="rectify", interactions=[corrected], label=0.25),
        *coded(deleted(*row), {"schema": {}, "payload": deleted(*wrapped)}),
        *coded(deleted(*of_five[0], op="c"), deleted(*of_five[1], op="u"), deleted(*of_five[2], op="r")),
        *coded(deleted("nobody", "nothing")),
        request("bad before", type="erase_before", subject="user 5", before="last year"),
        request("bad deadline", type="erase_user", subject="user 5", deadline="soon"),
        request("bad label", type="rectify", interactions=[corrected], label="good"),
        request("high label", type="rectify", interactions=[corrected], label=5),
        *coded(deleted(None, "item 1"), deleted("user 5", 1.5), deleted("user 5", "item 1", op="t")),
    )
    world.drain(events=stream.url, source=open_(stream.url), decode=DEBEZIUM)
    states = by_request(world.receipts())
    cdc = {name: state for name, state in states.items() if "@" in name}
    assert {name: states[name] for name in states.keys() - cdc} == dict.fromkeys(
        ("whole", "old", "item", "listed", "label"), "published"
    )
    assert sorted(cdc.values()) == ["nothing_to_erase", "published", "published"]
    assert [letter["field"] for letter in world.dead_letters()] == [
        "before", "deadline", "label", "before.user_id", "before.item_id", "op", "label",
    ]  # fmt: skip
    left = pairs(world.newest().dataset)
    assert not [pair for pair in left if pair[0] == "user 3" or pair[1] == "item 2" or pair in (row, wrapped, listed)]
    assert all(left[pair] for pair in of_five if pair[1] != "item 2")
    assert labels_of(world.newest().dataset, corrected) == {0.25}
    kept = world.newest().dataset.train
    assert kept.time is not None
    rows = kept.rows_of_user(4)
    assert len(rows)
    assert (kept.time[rows] >= older.timestamp() * 1e6).all()


def test_events_that_are_read_again_after_a_loss_get_the_receipts_that_they_had(
    stream: Stream, open_: Opener, tmp_path: Path
) -> None:
    """A world that begins anew stands for a process that died before its commit."""
    found = []
    stream.append(*coded(deleted("user 1", "item 1"), deleted("user 2", "item 2")))
    for life in ("first", "second"):
        (tmp_path / life).mkdir()
        world = World(tmp_path / life)
        world.drain(events=stream.url, source=open_(stream.url), decode=DEBEZIUM)
        found.append([(receipt["request_id"], receipt["id"]) for receipt in world.receipts()])
    assert len(found[0]) == 2
    assert found[0] == found[1]


def produce(kafka: Kafka, topic: str, *records: tuple[bytes | None, bytes | None]) -> None:
    with KafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all") as producer:
        for key, value in records:
            producer.send(topic, value, key=key).get(timeout=30)


def test_tombstones_erase_who_their_keys_name(kafka: Kafka, open_: Opener, tmp_path: Path) -> None:
    world, topic = World(tmp_path), kafka.topic()
    url = kafka.url(topic)
    produce(kafka, topic, (b"user 3", None), (b"u", b'{"name": "x"}'), (b"", None), (b"\xff", None), (b"nobody", None))
    world.drain(events=url, source=open_(url), decode={"tombstones": "user", "values": "ignored"})
    receipts = world.receipts()
    assert [receipt["state"] for receipt in receipts] == ["published", "nothing_to_erase"]
    assert {receipt["source"] for receipt in receipts} == {"tombstone"}
    assert [str(receipt["request_id"]).partition("@")[0] for receipt in receipts] == [f"{topic}/0/0", f"{topic}/0/4"]
    assert [letter["field"] for letter in world.dead_letters()] == ["key", "key"]
    assert not [pair for pair in pairs(world.newest().dataset) if pair[0] == "user 3"]


def test_a_tombstone_is_a_dead_letter_unless_it_is_set_what_it_means(
    kafka: Kafka, open_: Opener, tmp_path: Path
) -> None:
    world, topic = World(tmp_path), kafka.topic()
    produce(kafka, topic, (b"user 3", None))
    world.drain(events=kafka.url(topic), source=open_(kafka.url(topic)))
    assert [letter["field"] for letter in world.dead_letters()] == ["payload"]
    assert world.receipts() == []


def test_a_deletion_of_debezium_and_the_tombstone_behind_it_are_one_request(
    kafka: Kafka, open_: Opener, tmp_path: Path
) -> None:
    world, topic = World(tmp_path), kafka.topic()
    row = next(iter(pairs(world.newest().dataset)))
    [event] = coded(deleted(*row))
    produce(kafka, topic, (b'{"id": 1}', event), (b'{"id": 1}', None))
    # Each record is a batch of its own.
    batch = {"max_requests": 1, "max_backlog": 1}
    world.drain(events=kafka.url(topic), source=open_(kafka.url(topic)), decode=DEBEZIUM, batch=batch)
    assert [receipt["state"] for receipt in world.receipts()] == ["published"]
    assert world.dead_letters() == []


def test_data_without_times_answers_to_no_erase_before(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.submit(request("old", type="erase_before", subject="user 4", before=TIME.isoformat()), erase_user("whole", 3))
    world.drain()
    [letter] = world.dead_letters()
    assert letter["field"] == "before"
    assert "erase_interactions" in str(letter["reason"])
    assert by_request(world.receipts()) == {"whole": "published"}


def test_what_asks_for_nothing_is_passed_by_without_a_version_for_each(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.submit(*coded(*(deleted("user 1", "item 1", op="c") for _ in range(12))))
    ticks = itertools.count()
    # Each question what time it is takes a quarter of an hour.
    clock = lambda: TIME + timedelta(minutes=15 * next(ticks))  # noqa: E731
    reporter = world.reporter()
    world.drain(decode=DEBEZIUM, batch={"max_requests": 1, "max_backlog": 1}, utc=clock, reporter=reporter)
    versions = world.done()[1:]
    assert 0 < len(versions) < 12
    assert all(not version.events for version in versions)
    assert versions[-1].positions["events.jsonl"][0] > 0
    assert reporter.metrics.registry.get_sample_value("ifrud_ignored_events_total") == 12
    assert world.receipts() == world.dead_letters() == []


class Watching:
    """An outbox that looks at gauges when receipts come."""

    def __init__(self, metrics: Metrics) -> None:
        self._registry = metrics.registry
        self.seen: list[tuple[float, ...]] = []

    def send(self, records: Sequence[Record]) -> None:
        if records:
            self.seen.append(self.look())

    def look(self) -> tuple[float, ...]:
        names = ("ifrud_oldest_open_request_timestamp_seconds", "ifrud_nearest_deadline_timestamp_seconds")
        return tuple(cast("float", self._registry.get_sample_value(name)) for name in names)

    def close(self) -> None:
        pass


def test_the_oldest_open_request_and_the_nearest_deadline_are_shown_until_they_are_answered(tmp_path: Path) -> None:
    world, reporter = World(tmp_path), World.reporter()
    outbox = Watching(reporter.metrics)
    deadlines = [TIME + timedelta(days=days) for days in (30, 20)]
    for number, deadline in enumerate(deadlines):
        asked = {"type": "erase_user", "subject": f"user {number}", "deadline": deadline.isoformat()}
        world.submit(request(f"r{number}", **asked))
    oldest = datetime(2026, 10, 1, tzinfo=UTC)
    world.submit(request("oldest", type="erase_item", subject="item 1", time=oldest.isoformat()))
    assert all(map(math.isnan, outbox.look()))
    world.drain(receipts=outbox, reporter=reporter)
    assert outbox.seen == [(oldest.timestamp(), deadlines[1].timestamp())]
    assert all(map(math.isnan, outbox.look()))


@pytest.mark.parametrize("full_every", [1, 100])
def test_a_near_miss_is_told_and_repeated_to_the_byte(tmp_path: Path, full_every: int) -> None:
    world = World(tmp_path)
    near, far = [
        request(name, type="erase_user", subject=asked) for name, asked in (("n", " USER 3"), ("f", "User 333"))
    ]
    world.submit(near, far)
    world.drain(full_every=full_every)
    world.submit(erase_user("now", 3))
    world.drain(full_every=full_every)
    world.submit(near, far)
    world.drain(full_every=full_every)
    lines = (tmp_path / "receipts.jsonl").read_text().splitlines()
    receipts = [json.loads(line) for line in lines]
    assert {line for line, said in zip(lines, receipts, strict=True) if said["request_id"] == "n"} == {lines[0]}
    assert {line for line, said in zip(lines, receipts, strict=True) if said["request_id"] == "f"} == {lines[1]}
    assert (receipts[0]["state"], receipts[0]["near_miss"]) == ("nothing_to_erase", True)
    assert (receipts[1]["state"], "near_miss" in receipts[1]) == ("nothing_to_erase", False)
    assert by_request(receipts)["now"] == "published"


def test_a_request_with_another_deadline_is_the_same_request(tmp_path: Path) -> None:
    world = World(tmp_path)
    first, again = [
        request("r", type="erase_user", subject="user 3", **late) for late in ({}, {"deadline": "2027-01-01T00:00:00Z"})
    ]
    world.submit(first, again)
    world.drain()
    assert world.dead_letters() == []
    assert by_request(world.receipts()) == {"r": "published"}


@pytest.mark.parametrize("full_every", [1, 100])
def test_a_corrected_label_stays_over_restarts_and_full_versions(tmp_path: Path, full_every: int) -> None:
    world = World(tmp_path)
    first, second = list(pairs(world.newest().dataset))[:2]
    world.submit(request("r1", type="rectify", interactions=[first], label=0.25))
    world.drain(full_every=full_every)
    world.submit(request("r2", type="rectify", interactions=[second], label=0.75), erase_user("u", 39))
    world.drain(full_every=full_every)
    world.submit(request("r3", type="rectify", interactions=[first], label=0.25))
    world.drain(full_every=full_every)
    assert by_request(world.receipts()) == {
        "r1": "published", "r2": "published", "u": "published", "r3": "nothing_to_erase",
    }  # fmt: skip
    newest = world.newest()
    assert labels_of(newest.dataset, first) == {0.25}
    assert labels_of(newest.dataset, second) == {0.75}
    wrong = newest.dataset.copy()
    wrong.delete(Deletion.union(relabelled(wrong, pair, 1 - label) for pair, label in ((first, 0.25), (second, 0.75))))
    owed, owed_wrongly = [
        float(
            model_of(newest.manifest.model)
            .objective(dataset.train, torch.device("cpu"), torch.float32)
            .at(newest.parameters.stacked())
            .gradient.norm()
        )
        for dataset in (newest.dataset, wrong)
    ]
    assert owed < owed_wrongly / 5


def test_a_model_that_takes_no_other_labels_answers_to_no_rectify_and_goes_on(tmp_path: Path) -> None:
    world = World(tmp_path, config=UnlabelledConfig(rank=4, l2=0.1))
    pair = min(pairs(world.newest().dataset))
    world.submit(request("r1", type="rectify", interactions=[pair], label=0.0), erase_user("r2", 3))
    world.drain()
    (letter,) = world.dead_letters()
    assert (letter["field"], "relabel" in str(letter["reason"])) == ("type", True)
    assert by_request(world.receipts()) == {"r2": "published"}
