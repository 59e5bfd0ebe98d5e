"""What a Kafka topic adds to the promises of a source."""

from __future__ import annotations

import itertools
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewPartitions, NewTopic
from structlog.testing import capture_logs

from ifru.snapshots import Position
from ifru.snapshots import Source as Recorded
from ifrud.settings import KafkaSettings
from ifrud.streams.kafka_client import DEFAULT_TIMEOUTS, Timeouts
from ifrud.streams.sources import Event, LostEventsError, LostRange, SourceError, open_source
from ifrud.streams.sources.kafka import KafkaSource
from ifrud.streams.sources.kafka_topic import POLL_BYTES
from tests.fixtures.kafka import Kafka
from tests.fixtures.kafka_brokers import SASL_PASSWORD, SASL_USER, free_ports, noida
from tests.fixtures.streams import Opener, read, unidentified
from tests.fixtures.wire import wire

QUICK = Timeouts(request=2000, metadata=100)
"""For brokers and topics that go away."""

ABSENT = Timeouts(bootstrap=1000)
"""For brokers that never answer."""


def source_on(
    kafka: Kafka,
    topic: str,
    settings: KafkaSettings | None = None,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    server: str | None = None,
    accept_lost: str | None = None,
) -> closing[KafkaSource]:
    return closing(
        KafkaSource.open(
            [server or kafka.bootstrap],
            topic,
            settings or KafkaSettings(),
            clock=lambda: 0.0,
            wait=time.sleep,
            accept_lost=accept_lost,
            timeouts=timeouts,
        )
    )


@pytest.fixture
def producer(kafka: Kafka) -> Iterator[KafkaProducer]:
    with KafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all") as producer:
        yield producer


def send(producer: KafkaProducer, topic: str, count: int, partition: int = 0) -> None:
    for number in range(count):
        producer.send(topic, f"{partition}/{number}".encode(), partition=partition)
    producer.flush()


def test_keys_headers_and_null_values_come_as_they_are(kafka: Kafka, producer: KafkaProducer) -> None:
    topic = kafka.topic()
    producer.send(topic, None, key=b"user", headers=[("ce_id", b"1"), ("ce_id", b"\xff")])
    producer.send(topic, b"value")
    producer.flush()
    with source_on(kafka, topic) as source:
        tombstone, plain = read(source, 2)
    assert (tombstone.payload, tombstone.key) == (None, b"user")
    assert tombstone.headers == (("ce_id", b"1"), ("ce_id", b"\xff"))
    assert (plain.payload, plain.key, plain.headers) == (b"value", None, ())


def test_every_partition_is_read_in_its_order(kafka: Kafka, producer: KafkaProducer) -> None:
    topic = kafka.topic(partitions=3)
    for partition in range(3):
        send(producer, topic, 4, partition)
    with source_on(kafka, topic) as source:
        events = read(source, 12, limit=5)
        assert source.end() == {0: 4, 1: 4, 2: 4}
    for partition in range(3):
        mine = [event for event in events if event.partition == partition]
        assert [event.payload for event in mine] == [f"{partition}/{n}".encode() for n in range(4)]
        assert [(event.offset, event.next) for event in mine] == [(n, n + 1) for n in range(4)]


def test_partitions_that_positions_do_not_name_start_at_zero(kafka: Kafka, producer: KafkaProducer) -> None:
    topic = kafka.topic(partitions=2)
    send(producer, topic, 3, partition=0)
    send(producer, topic, 3, partition=1)
    with source_on(kafka, topic) as source:
        source.seek(unidentified({1: 2}))
        events = read(source, 4)
    assert sorted((event.partition, event.offset) for event in events) == [(0, 0), (0, 1), (0, 2), (1, 2)]


def test_partitions_that_are_added_later_are_read_from_their_beginning(kafka: Kafka, producer: KafkaProducer) -> None:
    topic = kafka.topic()
    send(producer, topic, 2)
    with source_on(kafka, topic, timeouts=Timeouts(metadata=100)) as source:
        read(source, 1, limit=1)
        kafka.admin.create_partitions({topic: NewPartitions(2)})
        kafka.admin.wait_for_topics([topic])
        with KafkaProducer(bootstrap_servers=kafka.bootstrap) as fresh:
            send(fresh, topic, 3, partition=1)
        events = read(source, 4)
        assert source.end() == {0: 2, 1: 3}
    assert sorted((event.partition, event.offset) for event in events) == [(0, 1), (1, 0), (1, 1), (1, 2)]


def test_lag_tools_see_what_was_acknowledged(kafka: Kafka, producer: KafkaProducer) -> None:
    topic = kafka.topic(partitions=2)
    send(producer, topic, 3)
    settings = KafkaSettings(group=f"group-of-{topic}")
    with source_on(kafka, topic, settings) as source:
        source.seek(unidentified({}))
        source.acknowledge({0: 2, 1: 0})
    committed = kafka.admin.list_group_offsets({settings.group: None})[settings.group]
    assert {at.partition: seen.offset for at, seen in committed.items()} == {0: 2, 1: 0}


def test_an_acknowledgement_that_is_refused_is_tried_again_after_half_a_minute(
    kafka: Kafka, producer: KafkaProducer
) -> None:
    topic = kafka.topic()
    send(producer, topic, 3)
    settings = KafkaSettings(group=f"group-of-{topic}")
    now = 1000.0
    pauses: list[float] = []
    source = KafkaSource.open([kafka.bootstrap], topic, settings, clock=lambda: now, wait=pauses.append)
    member = KafkaConsumer(topic, bootstrap_servers=kafka.bootstrap, group_id=settings.group, enable_auto_commit=False)
    with closing(source):
        while not member.assignment():
            member.poll(100)
        with pytest.raises(SourceError, match="does nobody else consume in it"):
            source.acknowledge({0: 1})
        tried = len(pauses)
        now = 1029.0
        source.acknowledge({0: 2})
        now = 1031.0
        with pytest.raises(SourceError):
            source.acknowledge({0: 2})
        member.close()
        now = 1062.0
        source.acknowledge({0: 3})
        assert len(pauses) == tried
    committed = kafka.admin.list_group_offsets({settings.group: None})[settings.group]
    assert [seen.offset for seen in committed.values()] == [3]


def test_a_store_that_was_restored_from_a_backup_is_noticed(kafka: Kafka, producer: KafkaProducer) -> None:
    topic = kafka.topic()
    send(producer, topic, 5)
    settings = KafkaSettings(group=f"group-of-{topic}")
    with source_on(kafka, topic, settings) as source:
        source.seek(unidentified({}))
        backup = source.recorded({0: 2})
        newest = source.recorded({0: read(source, 5)[-1].next})
        source.acknowledge({0: 5})
    with source_on(kafka, topic, settings) as source, capture_logs() as logs:
        source.seek(newest)
        assert logs == []
        source.seek(backup)
    (warning,) = logs
    assert "probably restored from a backup, and 3 events are read again" in warning["event"]


def test_without_a_group_nothing_is_acknowledged(kafka: Kafka, producer: KafkaProducer) -> None:
    topic = kafka.topic()
    send(producer, topic, 1)
    with source_on(kafka, topic, KafkaSettings(group=None)) as source:
        source.acknowledge({0: 1})
    groups = [group["group_id"] for group in kafka.admin.list_groups()]
    offsets = kafka.admin.list_group_offsets(dict.fromkeys(groups)) if groups else {}
    assert all(at.topic != topic for committed in offsets.values() for at in committed)


def test_an_aborted_transaction_is_not_delivered(kafka: Kafka) -> None:
    topic = kafka.topic()
    transact(kafka, topic, [("first", True), ("aborted", False), ("second", True)])
    with source_on(kafka, topic) as source:
        assert [event.payload for event in drain(source)] == [b"first", b"second"]


def test_the_end_is_reached_although_markers_and_aborted_records_follow(kafka: Kafka) -> None:
    topic = kafka.topic()
    transact(kafka, topic, [("committed", True), ("aborted", False)])
    settings = KafkaSettings(group=f"group-of-{topic}")
    with source_on(kafka, topic, settings) as source:
        assert source.end()[0] > 1
        (event,) = drain(source)
        assert source.end() == {0: event.next}
        source.acknowledge({0: event.next})
        with capture_logs() as logs:
            source.seek(source.recorded({0: event.next}))
        assert logs == []
    committed = kafka.admin.list_group_offsets({settings.group: None})[settings.group]
    assert [seen.offset for seen in committed.values()] == [4]


def test_an_open_transaction_holds_back_what_follows_it(kafka: Kafka, producer: KafkaProducer) -> None:
    topic = kafka.topic()
    with KafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id=topic) as transactional:
        transactional.init_transactions()
        transactional.begin_transaction()
        transactional.send(topic, b"open").get(timeout=30)
        send(producer, topic, 1)
        with source_on(kafka, topic) as source:
            assert source.poll(10, 1.0) == []
            assert source.end() == {0: 0}
            transactional.commit_transaction()
            assert [event.payload for event in read(source, 2)] == [b"open", b"0/0"]


def drain(source: KafkaSource) -> list[Event]:
    """Everything up to the end, which must be reached."""
    events: list[Event] = []
    for _ in range(20):
        events += source.poll(100, 0.5)
        if source.end() == {event.partition: event.next for event in events}:
            return events
    raise AssertionError(f"{len(events)} events were read, and the end is still {source.end()}")


def transact(kafka: Kafka, topic: str, transactions: list[tuple[str, bool]]) -> None:
    """One transaction for each value, committed or aborted."""
    with KafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id=topic) as producer:
        producer.init_transactions()
        for value, commit in transactions:
            producer.begin_transaction()
            producer.send(topic, value.encode()).get(timeout=30)
            if commit:
                producer.commit_transaction()
            else:
                producer.abort_transaction()


def remove(kafka: Kafka, topic: str, before: int, partition: int = 0) -> None:
    kafka.admin.delete_records({TopicPartition(topic, partition): before})


def test_a_position_that_retention_has_passed_names_every_lost_range(kafka: Kafka, producer: KafkaProducer) -> None:
    topic = kafka.topic(partitions=2)
    send(producer, topic, 6, partition=0)
    send(producer, topic, 6, partition=1)
    remove(kafka, topic, before=4, partition=0)
    remove(kafka, topic, before=5, partition=1)
    with source_on(kafka, topic) as source:
        with pytest.raises(LostEventsError, match="partition 0 offsets 1 to 3, partition 1 offsets 0 to 4") as caught:
            source.seek(unidentified({0: 1}))
        assert caught.value.ranges == (LostRange(0, 1, 3), LostRange(1, 0, 4))
        assert topic in str(caught.value)
        assert f"--accept-lost {caught.value.word}" in str(caught.value)
        source.seek(unidentified({0: 4, 1: 5}))
        assert len(read(source, 3)) == 3


def test_retention_that_overtakes_the_reader_is_an_error(kafka: Kafka, producer: KafkaProducer) -> None:
    topic = kafka.topic()
    send(producer, topic, 5)
    with source_on(kafka, topic) as source:
        source.seek(unidentified({}))
        remove(kafka, topic, before=4)
        with pytest.raises(LostEventsError, match="partition 0 offsets 0 to 3") as caught:
            read(source, 5)
        assert caught.value.ranges == (LostRange(0, 0, 3),)


class RawName(str):
    """A header's name that a producer of another language may well send."""

    def encode(self, *_: str) -> bytes:
        return b"\xff\xfe"


def test_a_header_name_that_is_no_utf8_does_not_stop_the_reader(kafka: Kafka, producer: KafkaProducer) -> None:
    topic = kafka.topic()
    producer.send(topic, b"before")
    producer.send(topic, b"bad", headers=[("a", b"1"), (RawName(), b"2")])
    producer.send(topic, b"after")
    producer.flush()
    with source_on(kafka, topic) as source:
        before, bad, after = read(source, 3)
    assert [event.problem for event in (before, after)] == [None, None]
    assert (bad.payload, bad.headers) == (b"bad", (("a", b"1"), ("\\xff\\xfe", b"2")))
    assert str(bad.problem) == "headers: one has a name that is not UTF-8"


def test_a_batch_that_decompresses_without_bounds_is_one_event(kafka: Kafka, producer: KafkaProducer) -> None:
    topic = kafka.topic()
    send(producer, topic, 1)
    large = KafkaProducer(bootstrap_servers=kafka.bootstrap, compression_type="zstd", max_request_size=2**30)
    with large:
        large.send(topic, bytes(50_000_000)).get(timeout=60)
    send(producer, topic, 1)
    with source_on(kafka, topic, KafkaSettings(max_decompressed_bytes=1_000_000)) as source:
        before, bad, after = read(source, 3)
        assert source.end() == {0: 3}
    assert (bad.payload, bad.offset, bad.next) == (None, 1, 2)
    assert "more than 1000000 bytes once decompressed (kafka.max_decompressed_bytes)" in str(bad.problem)
    assert before.payload == after.payload == b"0/0"


def test_a_poll_holds_a_bounded_number_of_bytes(kafka: Kafka) -> None:
    topic = kafka.topic()
    with KafkaProducer(
        bootstrap_servers=kafka.bootstrap, compression_type="zstd", max_request_size=2**30, linger_ms=0
    ) as large:
        for _ in range(6):
            large.send(topic, bytes(5_000_000)).get(timeout=60)
    with source_on(kafka, topic) as source:
        counts = [len(source.poll(1000, 5.0)) for _ in range(3)]
    assert counts == [2, 2, 2]
    assert 5_000_000 < POLL_BYTES <= 10_000_000


def lost(kafka: Kafka, topic: str, recorded: Recorded) -> LostEventsError:
    """What a start from these positions says."""
    with source_on(kafka, topic) as source, pytest.raises(LostEventsError) as caught:
        source.seek(recorded)
    return caught.value


def test_an_accepted_gap_is_jumped_and_no_other_one(kafka: Kafka, producer: KafkaProducer) -> None:
    topic = kafka.topic()
    send(producer, topic, 8)
    remove(kafka, topic, before=4)
    word = lost(kafka, topic, unidentified({0: 1})).word
    with source_on(kafka, topic, accept_lost=word) as source:
        assert source.seek(unidentified({0: 1})) == {0: 4}
        assert [event.offset for event in read(source, 4)] == [4, 5, 6, 7]
    with source_on(kafka, topic, accept_lost=word) as source:
        source.seek(unidentified({0: 5}))
        assert [event.offset for event in read(source, 3)] == [5, 6, 7]
    remove(kafka, topic, before=5)
    with source_on(kafka, topic, accept_lost=word) as source, pytest.raises(LostEventsError, match="offsets 1 to 4"):
        source.seek(unidentified({0: 1}))


def test_the_end_is_reached_although_all_that_followed_was_given_up(kafka: Kafka, producer: KafkaProducer) -> None:
    topic = kafka.topic()
    send(producer, topic, 6)
    remove(kafka, topic, before=6)
    word = lost(kafka, topic, unidentified({0: 1})).word
    with source_on(kafka, topic, accept_lost=word) as source:
        assert source.seek(unidentified({0: 1})) == {0: 6}
        assert source.poll(10, 0.5) == []
        assert source.end() == {0: 6}


@pytest.mark.usefixtures("topic_ids")
def test_a_topic_made_anew_while_nobody_read_it_is_refused(kafka: Kafka, producer: KafkaProducer) -> None:
    topic = kafka.topic()
    send(producer, topic, 5)
    with source_on(kafka, topic) as source:
        recorded = source.recorded({0: read(source, 5)[-1].next})
    kafka.make_anew(topic)
    with KafkaProducer(bootstrap_servers=kafka.bootstrap) as fresh:
        send(fresh, topic, 8)
    error = lost(kafka, topic, recorded)
    assert f"the topic that was read has the id {recorded.topic_id}" in str(error)
    assert "from offset 5 of partition 0 on is lost" in str(error)
    with source_on(kafka, topic, accept_lost=error.word) as source:
        assert source.seek(recorded) == {0: 0}
        events = read(source, 8)
        assert [event.offset for event in events] == list(range(8))
        later = source.recorded({0: 8})
        assert later.topic_id not in (None, recorded.topic_id)
    kafka.make_anew(topic)
    with source_on(kafka, topic, accept_lost=error.word) as source, pytest.raises(LostEventsError):
        source.seek(recorded)


@pytest.mark.usefixtures("topic_ids")
def test_a_topic_made_anew_while_it_is_read_stops_the_source(kafka: Kafka, producer: KafkaProducer) -> None:
    topic = kafka.topic()
    send(producer, topic, 5)
    with source_on(kafka, topic, timeouts=QUICK) as source:
        assert len(read(source, 5)) == 5
        kafka.make_anew(topic)
        with KafkaProducer(bootstrap_servers=kafka.bootstrap) as fresh:
            send(fresh, topic, 8)
        with pytest.raises(LostEventsError, match="the topic that was read has the id"):
            for _ in range(100):
                assert source.poll(10, 0.1) == []


@pytest.mark.usefixtures("topic_ids")
def test_positions_hold_the_identity_of_their_topic(kafka: Kafka, producer: KafkaProducer) -> None:
    topic = kafka.topic(partitions=2)
    send(producer, topic, 5)
    with source_on(kafka, topic) as source:
        source.seek(unidentified({}))
        recorded = source.recorded({0: read(source, 5)[2].next, 1: 0})
    (described,) = kafka.admin.describe_topics([topic])
    assert recorded.kind == "kafka"
    assert recorded.cluster_id == kafka.admin.describe_cluster()["cluster_id"]
    assert recorded.topic_id == urlsafe_b64encode(UUID(described["topic_id"]).bytes).decode().rstrip("=")
    assert recorded.partitions == {0: Position(next=3, leader_epoch=0), 1: Position(next=0)}


def test_a_position_in_a_file_of_that_name_is_no_position_in_the_topic(kafka: Kafka) -> None:
    recorded = Recorded(kind="file", partitions={0: Position(next=6)})
    assert "what was read before is a file" in str(lost(kafka, kafka.topic(), recorded))


def test_an_end_that_was_not_heard_of_is_not_known(kafka: Kafka, producer: KafkaProducer) -> None:
    topic = kafka.topic()
    send(producer, topic, 3)
    with source_on(kafka, topic) as source:
        source.seek(unidentified({}))
        assert source.known_end() == {}
        read(source, 3)
        assert source.known_end() == {0: 3}


def test_a_topic_that_is_deleted_stops_the_source(kafka: Kafka, producer: KafkaProducer) -> None:
    topic = kafka.topic()
    send(producer, topic, 3)
    with source_on(kafka, topic, timeouts=QUICK) as source:
        assert len(read(source, 3)) == 3
        kafka.admin.delete_topics([topic])
        with pytest.raises(SourceError, match=topic):
            for _ in range(20):
                source.poll(10, 0.2)
                source.end()


def test_a_topic_that_does_not_exist_is_an_error_at_once(kafka: Kafka) -> None:
    with pytest.raises(SourceError, match="'no-such-topic' does not exist"):
        source_on(kafka, "no-such-topic")
    assert "no-such-topic" not in kafka.admin.list_topics()


def test_a_broker_that_does_not_answer_is_an_error_that_names_it(kafka: Kafka) -> None:
    (port,) = free_ports(1)
    with pytest.raises(SourceError, match=f"no Kafka broker answered at 127.0.0.1:{port}"):
        source_on(kafka, "events", timeouts=ABSENT, server=f"127.0.0.1:{port}")


def test_an_outage_is_waited_out_and_can_be_told(tmp_path: Path) -> None:
    ticks = itertools.count(1.0)

    def clock() -> float:
        return next(ticks)

    with noida(tmp_path) as broker:
        with KafkaAdminClient(bootstrap_servers=broker.bootstrap) as admin:
            admin.create_topics([NewTopic("events", 1, 1)])
        with KafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
            send(producer, "events", 3)
        source = KafkaSource.open(
            [broker.bootstrap], "events", KafkaSettings(), clock=clock, wait=time.sleep, timeouts=QUICK
        )
        assert len(read(source, 3)) == 3
    with closing(source):
        heard = source.heard()
        assert heard is not None
        for _ in range(5):
            assert source.poll(10, 0.2) == []
        assert source.heard() == heard
        with pytest.raises(SourceError, match="'events'"):
            source.end()
        with noida(tmp_path, port=int(broker.bootstrap.rpartition(":")[2])):
            with KafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
                send(producer, "events", 2)
            assert [event.offset for event in read(source, 2)] == [3, 4]
            again = source.heard()
            assert again is not None
            assert again > heard


def test_any_of_several_servers_will_do(kafka: Kafka, producer: KafkaProducer, open_: Opener) -> None:
    topic = kafka.topic()
    send(producer, topic, 1)
    (port,) = free_ports(1)
    assert len(read(open_(f"kafka://127.0.0.1:{port},{kafka.bootstrap}/{topic}"), 1)) == 1


@pytest.fixture
def login(kafka: Kafka) -> str:
    if kafka.sasl is None:
        pytest.skip(f"this broker has no listener with SASL: {kafka.kind}")
    return kafka.sasl


def credentials(password: str) -> KafkaSettings:
    return KafkaSettings.model_validate(
        {
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "PLAIN",
            "sasl_username": SASL_USER,
            "sasl_password": password,
        }
    )


def test_credentials_open_a_broker_that_asks_for_them(kafka: Kafka, producer: KafkaProducer, login: str) -> None:
    topic = kafka.topic()
    send(producer, topic, 1)
    with source_on(kafka, topic, credentials(SASL_PASSWORD), server=login) as source:
        assert len(read(source, 1)) == 1
        source.acknowledge({0: 1})


def test_wrong_credentials_are_an_error_that_does_not_repeat_them(kafka: Kafka, login: str) -> None:
    with pytest.raises(SourceError, match="credentials") as caught:
        source_on(kafka, kafka.topic(), credentials("a wrong secret"), timeouts=ABSENT, server=login)
    assert "secret" not in str(caught.value)


def test_a_broker_that_only_hangs_up_is_not_tried_without_a_pause(kafka: Kafka, producer: KafkaProducer) -> None:
    if kafka.far is None:
        pytest.skip(f"this broker has no listener for a proxy: {kafka.kind}")
    topic = kafka.topic()
    with (
        wire(("127.0.0.1", kafka.far[0]), 0, kafka.far[1]) as proxy,
        closing(open_source(f"kafka://127.0.0.1:{proxy.port}/{topic}")) as source,
    ):
        source.seek(unidentified({0: 0}))
        assert source.poll(10, 0.5) == []
        before, proxy.down = proxy.connections, True
        proxy.cut()
        assert source.poll(10, 2.0) == []
        assert 0 < proxy.connections - before < 60
        proxy.down = False
        send(producer, topic, 3)
        assert len(read(source, 3)) == 3
