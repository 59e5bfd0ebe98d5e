"""The stream that was read is another one when the daemon starts again."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from ifrud.requests.submit import submit
from ifrud.streams.endpoints import FileEndpoint, parse_endpoint
from tests.acceptance.running import Pair, Places, daemon, distinct, drawn, erase_pair, lines, pairs
from tests.fixtures.kafka import Kafka

READ, NEW = 5, 8


@pytest.mark.usefixtures("topic_ids")
def test_a_topic_made_anew_ends_the_daemon_with_5_and_is_read_whole_once_the_loss_is_accepted(
    kafka: Kafka, kafka_places: Places, tmp_path: Path
) -> None:
    topic = kafka_places.events.rpartition("/")[2]
    _accepted(kafka_places, tmp_path, lambda: kafka.make_anew(topic, 3), "the topic that was read has the id")


def test_a_file_truncated_in_place_ends_the_daemon_with_5_and_is_read_whole_once_the_loss_is_accepted(
    file_places: Places, tmp_path: Path
) -> None:
    endpoint = parse_endpoint(file_places.events)
    assert isinstance(endpoint, FileEndpoint)
    _accepted(file_places, tmp_path, lambda: endpoint.path.write_bytes(b""), "it was truncated or replaced")


def _accepted(places: Places, folder: Path, lose: Callable[[], object], said: str) -> None:
    before = places.version()
    chosen = {f"r{n}": pair for n, pair in enumerate(drawn(before, READ + NEW, random.Random(0)))}
    first, second = list(chosen)[:READ], list(chosen)[READ:]
    _send(places, chosen, first)
    with daemon(folder / "one", places, "--drain") as running:
        assert running.wait() == 0, running.log()[-1]
    lose()
    _send(places, chosen, second)
    with daemon(folder / "two", places, "--drain") as running:
        assert running.wait() == 5
        last = running.log()[-1]["event"]
    assert said in last
    assert set(distinct(lines(places.receipts))) == set(first), "some were answered by the daemon that refused"
    found = re.search(r"--accept-lost (lost-\w+)", last)
    assert found, last

    with daemon(folder / "three", places, "--drain", "--accept-lost", found[1]) as running:
        assert running.wait() == 0, running.log()[-1]
    assert {name: len(each) for name, each in distinct(lines(places.receipts)).items()} == dict.fromkeys(chosen, 1)
    assert pairs(places.version().dataset) == pairs(before.dataset) - Counter(chosen.values())


def _send(places: Places, chosen: dict[str, Pair], names: list[str]) -> None:
    submit((erase_pair(name, chosen[name]) for name in names), places.events, max_bytes=2**20)
