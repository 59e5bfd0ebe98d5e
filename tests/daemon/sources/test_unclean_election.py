"""A log that is cut back by an unclean leader election, on three real brokers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic

from ifrud.settings import KafkaSettings
from ifrud.streams.kafka_client import Timeouts
from ifrud.streams.sources import LostEventsError
from ifrud.streams.sources.kafka import KafkaSource
from tests.fixtures.kafka_cluster import Cluster, three_brokers
from tests.fixtures.streams import read

TOPIC = "events"
LEADER, FOLLOWER = 2, 3
PATIENCE = 60.0
CUT = "was read up to offset 8 of partition 0, and was cut back at offset 5"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    home = os.environ.get("KAFKA_HOME")
    if home is None:
        pytest.skip("three brokers need Apache Kafka; set KAFKA_HOME")
    with three_brokers(Path(home), tmp_path) as cluster:
        yield cluster


def source_on(cluster: Cluster, accept_lost: str | None = None) -> closing[KafkaSource]:
    timeouts = Timeouts(request=5000, metadata=500)
    settings = KafkaSettings(group=None)
    return closing(
        KafkaSource.open(
            [cluster.bootstrap],
            TOPIC,
            settings,
            clock=time.time,
            wait=time.sleep,
            accept_lost=accept_lost,
            timeouts=timeouts,
        )
    )


def send(cluster: Cluster, what: str, count: int) -> None:
    with KafkaProducer(bootstrap_servers=cluster.bootstrap, acks=1) as producer:
        for number in range(count):
            producer.send(TOPIC, f"{what} {number}".encode()).get(timeout=PATIENCE)


def partition_of(admin: KafkaAdminClient) -> dict[str, object]:
    """As a broker knows it, which for a moment knows nothing of a topic that was just made."""
    (topic,) = admin.describe_topics([TOPIC])
    found: dict[str, object] = next(iter(topic["partitions"]), {})
    return found


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, "what was waited for did not come"
        time.sleep(0.1)


def test_a_log_that_was_cut_back_is_noticed_at_start_and_while_it_is_read(cluster: Cluster) -> None:
    with KafkaAdminClient(bootstrap_servers=cluster.bootstrap) as admin:
        configs = {"unclean.leader.election.enable": "true", "min.insync.replicas": "1"}
        admin.create_topics([NewTopic(TOPIC, replica_assignments={0: [LEADER, FOLLOWER]}, topic_configs=configs)])
        until(lambda: partition_of(admin).get("isr_nodes") == [LEADER, FOLLOWER])
        send(cluster, "both have", 5)
        with source_on(cluster) as running, source_on(cluster) as idle:
            at_five = running.recorded({0: read(running, 5)[-1].next})
            cluster.stop(FOLLOWER)
            until(lambda: partition_of(admin).get("isr_nodes") == [LEADER])
            send(cluster, "the leader alone has", 3)
            at_eight = running.recorded({0: read(running, 3)[-1].next})
            idle.seek(at_eight)
            assert idle.poll(100, 1.0) == []
            cluster.stop(LEADER)
            cluster.start(FOLLOWER)
            until(lambda: partition_of(admin)["leader_id"] == FOLLOWER)
            send(cluster, "new", 6)
            for source in (running, idle):
                with pytest.raises(LostEventsError, match=CUT):
                    for _ in range(100):
                        assert source.poll(100, 0.2) == []
    with source_on(cluster) as source, pytest.raises(LostEventsError, match=CUT) as caught:
        source.seek(at_eight)
    with source_on(cluster, accept_lost=caught.value.word) as source:
        assert source.seek(at_eight) == {0: 5}
        assert [event.payload for event in read(source, 6)] == [f"new {number}".encode() for number in range(6)]
    with source_on(cluster) as source:
        assert source.seek(at_five) == {0: 5}
