"""Answers that come late or never and connections that are cut, between the daemon and both broker and bucket."""

from __future__ import annotations

import os
import random
import secrets
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from ifru.snapshots import event_hash, open_store, read_hash_key
from ifrud.requests.submit import submit
from tests.acceptance.running import Places, await_, daemon, distinct, drawn, erase_pair, lines, pairs
from tests.fixtures.kafka import Kafka
from tests.fixtures.wire import wire

ROUNDS, REQUESTS, BATCH = 3, 12, 3
LOST, DELAYED = 0.05, 0.3
DOWN_SECONDS = 0.5


def test_the_same_process_answers_everything_once_however_bad_the_network_is(
    kafka: Kafka, bucket: str, store: Path, tmp_path: Path
) -> None:
    endpoint = urlsplit(os.environ.get("AWS_ENDPOINT_URL", ""))
    if kafka.far is None or endpoint.scheme != "http" or endpoint.port is None:
        pytest.skip("needs a broker and a bucket of its own: set KAFKA_HOME, and unset KAFKA_BOOTSTRAP and S3_TEST_URL")
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    near = Places(store, *(kafka.url(kafka.topic(count)) for count in (3, 1, 1)), bucket)
    before = near.version()
    chosen = {f"r{n}": pair for n, pair in enumerate(drawn(before, ROUNDS * REQUESTS, random.Random(seed)))}
    with ExitStack() as stack:
        to_broker = stack.enter_context(wire(("127.0.0.1", kafka.far[0]), seed, kafka.far[1]))
        to_bucket = stack.enter_context(wire((str(endpoint.hostname), endpoint.port), seed))
        distant = [url.replace(kafka.bootstrap, f"127.0.0.1:{to_broker.port}") for url in near.streams]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{to_bucket.port}")
            limits = ("--set", f"batch.max_requests={BATCH}", "--set", f"batch.max_backlog={BATCH}")
            running = stack.enter_context(daemon(tmp_path, Places(store, *distant, bucket), *limits))
        await_(running.ready, "the daemon")
        for each in (to_broker, to_bucket):
            each.lost, each.delayed = LOST, DELAYED
        names = list(chosen)
        for count in range(REQUESTS, len(names) + 1, REQUESTS):
            sent = names[count - REQUESTS : count]
            for each in (to_broker, to_bucket):
                each.lose_next()
            submit((erase_pair(name, chosen[name]) for name in sent), near.events, max_bytes=2**20)
            for each in (to_broker, to_bucket):
                each.down = True
                each.cut()
                time.sleep(DOWN_SECONDS)
                each.down = False
            await_(lambda count=count: len(distinct(lines(near.receipts))) == count, f"{count} receipts")  # type: ignore[misc]
        assert to_bucket.losses >= ROUNDS
        assert running.stop() == 0, running.log()[-1]

    manifests = near.manifests()
    assert [manifest.version for manifest in manifests if manifest.claims is not None] == [2], (
        "it started more than once"
    )
    key = read_hash_key(open_store(bucket))
    answered = Counter(hashed for manifest in manifests for hashed in manifest.hashes)
    assert answered == Counter(event_hash(key, "", name) for name in chosen)
    assert {name: len(each) for name, each in distinct(lines(near.receipts)).items()} == dict.fromkeys(chosen, 1)
    assert lines(near.dead_letters) == []
    assert pairs(near.version().dataset) == pairs(before.dataset) - Counter(chosen.values())
