"""What a Kafka topic adds to the promises of an outbox."""

from __future__ import annotations

from pathlib import Path

import pytest
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from ifrud.settings import KafkaSettings
from ifrud.streams.kafka_client import Timeouts
from ifrud.streams.outboxes import OutboxError, Record, open_outbox
from ifrud.streams.outboxes.kafka import KafkaOutbox
from tests.fixtures.kafka import Kafka
from tests.fixtures.kafka_brokers import free_ports, noida
from tests.fixtures.streams import Opener, read

QUICK = Timeouts(request=2000, delivery=3000)
"""For a broker that goes away."""


def test_records_of_one_key_share_a_partition(kafka: Kafka, open_: Opener) -> None:
    url = kafka.url(kafka.topic(partitions=4))
    outbox = open_outbox(url)
    outbox.send([Record(f"key {number % 8}", b"%d" % number) for number in range(64)])
    outbox.close()
    places: dict[bytes, set[int]] = {}
    for event in read(open_(url), 64):
        places.setdefault(event.key or b"", set()).add(event.partition)
    assert len(places) == 8
    assert all(len(partitions) == 1 for partitions in places.values())
    assert len(set.union(*places.values())) > 1


def test_a_record_that_is_too_large_is_an_error_that_says_how_many_were_not_sent(kafka: Kafka) -> None:
    outbox = open_outbox(kafka.url(kafka.topic()))
    with pytest.raises(OutboxError, match=r"1 records not sent: .*bytes"):
        outbox.send([Record("key", b"x" * 2_000_000)])
    outbox.close()


def test_a_topic_that_does_not_exist_is_an_error_that_names_it(kafka: Kafka) -> None:
    with pytest.raises(OutboxError, match="'no-such-topic' does not exist"):
        open_outbox(kafka.url("no-such-topic"))
    assert "no-such-topic" not in kafka.admin.list_topics()


def test_a_broker_that_does_not_answer_is_an_error_that_names_it() -> None:
    (port,) = free_ports(1)
    with pytest.raises(OutboxError, match=f"no Kafka broker answered at 127.0.0.1:{port}"):
        KafkaOutbox([f"127.0.0.1:{port}"], "receipts", KafkaSettings(), Timeouts(bootstrap=1000))


def test_a_broker_that_goes_away_is_an_error_within_the_delivery_timeout(tmp_path: Path) -> None:
    with noida(tmp_path) as broker:
        with KafkaAdminClient(bootstrap_servers=broker.bootstrap) as admin:
            admin.create_topics([NewTopic("receipts", 1, 1)])
        outbox = KafkaOutbox([broker.bootstrap], "receipts", KafkaSettings(), QUICK)
        outbox.send([Record("key", b"{}")])
    with pytest.raises(OutboxError, match="2 records not sent"):
        outbox.send([Record("key", b"{}"), Record("key", b"{}")])
    outbox.close()


def test_an_outbox_sends_again_once_a_broker_that_was_away_is_back(tmp_path: Path, open_: Opener) -> None:
    with noida(tmp_path) as broker:
        with KafkaAdminClient(bootstrap_servers=broker.bootstrap) as admin:
            admin.create_topics([NewTopic("receipts", 1, 1)])
        outbox = KafkaOutbox([broker.bootstrap], "receipts", KafkaSettings(), QUICK)
        outbox.send([Record("key", b"0")])
    for _ in range(2):
        with pytest.raises(OutboxError):
            outbox.send([Record("key", b"1")])
    with noida(tmp_path, int(broker.bootstrap.rpartition(":")[2])):
        outbox.send([Record("key", b"1")])
        found = read(open_(f"kafka://{broker.bootstrap}/receipts"), 2)
        outbox.close()
    assert {event.payload for event in found} == {b"0", b"1"}
