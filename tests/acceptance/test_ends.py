"""How the daemon ends, and what it says of itself while it runs."""

from __future__ import annotations

import fcntl
import json
import random
import re
import signal
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from ifru.snapshots import Version
from ifrud.requests.submit import submit
from tests.acceptance.running import (
    Daemon,
    Pair,
    Places,
    await_,
    daemon,
    distinct,
    drawn,
    erase_pair,
    get,
    lines,
    pairs,
    run,
)


def send(places: Places, *payloads: bytes) -> None:
    submit(payloads, places.events, max_bytes=2**20)


def test_a_daemon_that_starts_takes_the_prefix_from_one_that_runs_which_names_the_version_that_won(
    file_places: Places, tmp_path: Path
) -> None:
    places, before = file_places, file_places.version()
    chosen = drawn(before, 2, random.Random(0))
    quiet = ("--set", "refine=false", "--set", "prove=false")
    with daemon(tmp_path / "one", places, *quiet) as one:
        await_(one.ready, "the first daemon")
        with daemon(tmp_path / "two", places, *quiet) as two:
            await_(two.ready, "the second daemon")
            send(places, erase_pair("r-first", chosen[0]))
            assert one.wait() == 3
            await_(lambda: "r-first" in distinct(lines(places.receipts)), "the second daemon's answer")
            send(places, erase_pair("r-after", chosen[1]))
            await_(lambda: "r-after" in distinct(lines(places.receipts)), "the second daemon to go on")
            assert two.stop() == 0
    _assert_lost(places, one, before, chosen)


def test_a_daemon_that_was_stopped_and_continued_after_another_took_over_publishes_nothing_and_ends_with_3(
    file_places: Places, tmp_path: Path
) -> None:
    places, before = file_places, file_places.version()
    chosen = drawn(before, 40, random.Random(0))
    alone = ("--set", "batch.max_requests=1", "--set", "batch.max_backlog=1")
    with daemon(tmp_path / "one", places, *alone) as one:
        await_(one.ready, "the first daemon")
        send(places, *(erase_pair(f"r{n}", pair) for n, pair in enumerate(chosen)))
        await_(lambda: places.published() > 5, "some versions")
        _pause_between_receipts(one, places)
        with daemon(tmp_path / "two", places, *alone, "--drain") as two:
            assert two.wait() == 0, two.log()[-1]
        published = places.published()
        # Where it was stopped with its last batch in hand, it has nothing left to lose.
        send(places, erase_pair("r-after", chosen[0]))
        one.go_on()
        assert one.wait() == 3
    assert places.published() == published
    _assert_lost(places, one, before, chosen)


def _pause_between_receipts(one: Daemon, places: Places) -> None:
    """Whoever is stopped while it writes to a file of receipts keeps the lock on it, and everybody else waits."""
    one.pause()
    while _locked(places.receipts):
        one.go_on()
        one.pause()


def _locked(url: str) -> bool:
    with Path(urlsplit(url).path).open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _assert_lost(places: Places, loser: Daemon, before: Version, chosen: Sequence[Pair]) -> None:
    """Its last words name the version that won; everything was done once, and answered by what was published."""
    attempts = {manifest.attempt: manifest.version for manifest in places.manifests()}
    said = loser.log()[-1]["event"]
    assert [version for attempt, version in attempts.items() if f"version {version} " in said and attempt in said]
    assert pairs(places.version().dataset) == pairs(before.dataset) - Counter(chosen)
    assert {len(different) for different in distinct(lines(places.receipts)).values()} == {1}


def _answered(places: Places) -> int:
    return len(distinct(lines(places.receipts)))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0_and_what_it_had_in_hand_is_published(
    file_places: Places, tmp_path: Path, number: signal.Signals
) -> None:
    places = file_places
    with daemon(tmp_path, places, "--set", "batch.idle_ms=3600000", "--set", "batch.max_age_ms=3600000") as running:
        await_(running.ready, "the daemon")
        send(
            places, *(erase_pair(f"r{n}", pair) for n, pair in enumerate(drawn(places.version(), 3, random.Random(0))))
        )
        await_(lambda: get(f"{running.url}/status").json()["in_hand"] == 3, "the events to be read")
        assert running.stop(number) == 0
    assert _answered(places) == 3
    assert number.name in running.log()[-1]["event"]


def test_invalid_settings_end_it_with_2_before_anything_starts(file_places: Places, tmp_path: Path) -> None:
    address = tmp_path / "admin.url"
    done = run("ifrud", "run", *file_places.flags(), "--admin-file", str(address), "--set", "batch.max_requests=none")
    assert done.returncode == 2
    assert done.stderr.startswith("batch.max_requests: 'none' is not allowed; input should be a valid integer")
    assert not address.exists()
    assert file_places.published() == 1


def test_drain_ends_it_with_0_also_where_there_is_nothing(file_places: Places, tmp_path: Path) -> None:
    with daemon(tmp_path, file_places, "--drain") as running:
        assert running.wait() == 0
    assert file_places.published() == 2, "more than its claim was published"


def test_what_it_needs_and_cannot_have_is_named_and_ends_it_with_5(file_places: Places, tmp_path: Path) -> None:
    missing = (tmp_path / "nowhere" / "receipts.jsonl").as_uri()
    for places, said in (
        (replace(file_places, store=tmp_path / "nothing"), "no version"),
        (replace(file_places, receipts=missing), "nowhere/receipts.jsonl"),
    ):
        with daemon(tmp_path, places) as running:
            assert running.wait() == 5
        assert said in running.log()[-1]["event"]


def test_it_tells_probes_metrics_and_the_status_command_how_it_is(file_places: Places, tmp_path: Path) -> None:
    places = file_places
    with daemon(tmp_path, places, "--set", "refine=false", "--set", "prove=false") as running:
        await_(lambda: get(f"{running.url}/readyz").status_code == 200, "readiness")
        assert get(f"{running.url}/healthz").status_code == 200
        done = run("ifrud", "submit", "--events", places.events, "--user", "u1", "--user", "u2", "--item", "i3")
        assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "3 requests sent")
        await_(lambda: _answered(places) == 3, "receipts")
        await_(lambda: 'ifrud_requests_total{state="published"} 3.0' in get(f"{running.url}/metrics").text, "metrics")
        told = get(f"{running.url}/metrics").text
        assert re.search(r'^ifrud_device_info\{device="(cpu|cuda:\d+)"\} 1\.0$', told, re.MULTILINE)
        assert re.search(r'^ifrud_settings_info\{digest="[0-9a-f]{12}"\} 1\.0$', told, re.MULTILINE)
        assert re.search(r'^ifrud_build_info\{version=".+"\} 1\.0$', told, re.MULTILINE)
        found = run("ifrud", "status", "--url", running.url, "--json")
        status = json.loads(found.stdout)
        assert (found.returncode, status["state"], status["requests"]) == (0, "ready", 3)
        assert status["version"] == places.published()
        assert "requests" in run("ifrud", "status", "--url", running.url).stdout
        assert running.stop() == 0
    assert run("ifrud", "status", "--url", running.url).returncode == 5
