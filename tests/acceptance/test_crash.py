"""`kill -9` in the middle of a stream."""

from __future__ import annotations

import random
import secrets
import time
from collections import Counter
from functools import partial
from pathlib import Path

from ifru.snapshots import event_hash, open_store, read_hash_key
from ifrud.requests.submit import submit
from tests.acceptance.running import Places, await_, daemon, distinct, drawn, erase_pair, lines, pairs

REQUESTS = 1000
KILLS = 5
BATCH = 20


def test_every_deletion_is_done_once_and_answered_however_often_the_daemon_is_killed(
    kafka_places: Places, tmp_path: Path
) -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    source = random.Random(seed)
    places, before = kafka_places, kafka_places.version()
    chosen = {f"r{number}": pair for number, pair in enumerate(drawn(before, REQUESTS, source))}
    submit((erase_pair(name, pair) for name, pair in chosen.items()), places.events, max_bytes=2**20)
    limits = ("--set", f"batch.max_requests={BATCH}", "--set", f"batch.max_backlog={BATCH}")
    for kills in range(KILLS, 0, -1):
        published = places.published()
        # Each kill leaves batches for those after it, also where the daemon got further than it was to. The first
        # version of each is its claim.
        batches = REQUESTS // BATCH - (published - 1)
        goal = published + 1 + source.randint(1, batches // (kills + 1))
        delay = source.uniform(0, 0.05)
        with daemon(tmp_path, places, *limits) as killed:
            await_(partial(_published, places, goal), f"version {goal}")
            time.sleep(delay)
            killed.kill()
    assert 0 < len(_hashes(places)) < REQUESTS, "the kills were not in the middle of the stream"
    with daemon(tmp_path, places, *limits, "--drain") as last:
        assert last.wait() == 0, last.log()[-1]

    assert pairs(places.version().dataset) == pairs(before.dataset) - Counter(chosen.values())
    key = read_hash_key(open_store(places.store.as_uri()))
    assert Counter(_hashes(places)) == Counter(event_hash(key, "", name) for name in chosen)
    receipts = lines(places.receipts)
    assert {name: len(different) for name, different in distinct(receipts).items()} == dict.fromkeys(chosen, 1)
    assert {receipt["state"] for receipt in receipts} == {"published"}
    version_of = {hashed: manifest.version for manifest in places.manifests() for hashed in manifest.hashes}
    assert all(
        receipt["version"] == version_of[event_hash(key, "", str(receipt["request_id"]))] for receipt in receipts
    )
    assert lines(places.dead_letters) == []


def _published(places: Places, goal: int) -> bool:
    return places.published() >= goal


def _hashes(places: Places) -> list[str]:
    return [hashed for manifest in places.manifests() for hashed in manifest.hashes]
