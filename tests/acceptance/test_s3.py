"""The production shape: requests on Kafka, versions on S3, every step a process of its own."""

from __future__ import annotations

import json
from pathlib import Path

from ifru.snapshots import Reader, open_store
from tests.acceptance.running import run, write_ratings
from tests.fixtures.kafka import Kafka


def test_requests_on_kafka_become_versions_on_s3_that_anybody_can_read_and_prove(
    kafka: Kafka, s3_url: str, tmp_path: Path
) -> None:
    store, events = f"{s3_url}/acceptance", kafka.url(kafka.topic(2))
    write_ratings(tmp_path / "ratings.csv")
    done = run("ifru", "train", str(tmp_path / "ratings.csv"), "--out", store, "--rank", "8", "--l2", "0.1", "--json")
    assert done.returncode == 0, done.stderr
    assert run("ifrud", "submit", "--events", events, "--user", "u1", "--item", "i3").returncode == 0
    outboxes = ("--receipts", kafka.url(kafka.topic()), "--dead-letters", kafka.url(kafka.topic()))
    flags = ("--events", events, "--store", store, *outboxes, "--admin-port", "0")
    for _ in range(2):
        ended = run("ifrud", "run", *flags, "--drain")
        assert ended.returncode == 0, ended.stderr
    reader = Reader(open_store(store))
    newest = reader.load()
    answering = [number for number in range(1, newest.manifest.version + 1) if reader.manifest(number).events]
    assert (answering, newest.manifest.claims) == ([3], 3)
    assert newest.dataset.users.row("u1") is None
    assert newest.dataset.items.row("i3") is None
    proof = json.loads(run("ifru", "prove", store, "--json").stdout)
    assert proof["retained"] == newest.manifest.retained
    assert 0 < proof["rms_bound"] < 0.05
