"""Proofs of a real daemon while events come, and of one that is killed."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ifrud.requests.submit import submit
from tests.acceptance.running import PATIENCE, Places, daemon, drawn, erase_pair, lines, run, write_ratings

SETTINGS = {"prove_requests": "true", "prove_share": "0.5", "purge_receipts_s": "0", "refine_after_ms": "60000"}
SET = [part for name, value in SETTINGS.items() for part in ("--set", f"{name}={value}")]
EVERY = 0.4
"""Seconds from one request to the next: never so long that the daemon takes it for idle time."""


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of rank enough for a proof that closes."""
    folder = tmp_path_factory.mktemp("closed")
    write_ratings(folder / "ratings.csv")
    ratings, store = str(folder / "ratings.csv"), (folder / "store").as_uri()
    done = run("ifru", "train", ratings, "--out", store, "--rank", "16", "--l2", "0.15")
    assert done.returncode == 0, done.stderr
    return folder


def test_under_a_stream_without_a_pause_versions_and_requests_are_proven_and_a_killed_daemon_goes_on(
    closed: Path, tmp_path: Path
) -> None:
    urls = ((tmp_path / f"{name}.jsonl").as_uri() for name in ("events", "receipts", "dead"))
    places = Places(closed / "store", *urls)
    requests = [
        erase_pair(f"r{number}", pair) for number, pair in enumerate(drawn(places.version(), 1000, random.Random(0)))
    ]
    left = iter(requests)

    def stream(until: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + PATIENCE
        while not until():
            assert time.monotonic() < end, f"no {what}"
            submit([next(left)], places.events, max_bytes=2**20)
            time.sleep(EVERY)

    def proven() -> set[object]:
        return {said["request_id"] for said in lines(places.receipts) if said["state"] == "proven"}

    def version_proven() -> int:
        proof = places.version().manifest.proof
        return 0 if proof is None else proof.version

    with daemon(tmp_path, places, *SET) as first:
        stream(lambda: version_proven() > 2 and bool(proven()), "proof beside events")
        assert all("rms_bound" not in manifest.quality for manifest in places.manifests()), "there was idle time"
        first.kill()
    before, known = proven(), version_proven()
    with daemon(tmp_path, places, *SET):
        stream(lambda: version_proven() > known and len(proven()) > len(before), "proof after the kill")
    for said in lines(places.receipts):
        if said["state"] == "proven":
            assert float(str(said["bound"])) > 0
            assert float(str(said["left_at_most"])) < 1
            assert int(str(said["version"])) <= places.version().manifest.version
    assert not lines(places.dead_letters)
