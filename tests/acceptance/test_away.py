"""Broker or store away for a while: the daemon says so, and the same process goes on once they are back.

For ten minutes with Prometheus and the alerts as they are shipped, from the root of the repository:

    AWAY_SECONDS=600 KAFKA_HOME=… PROMETHEUS=… pytest -s --timeout 1500 tests/acceptance/test_away.py
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from ifrud.requests.submit import submit
from tests.acceptance.running import Daemon, Places, await_, daemon, distinct, erase_user, get, lines
from tests.fixtures.kafka import Kafka
from tests.fixtures.kafka_brokers import free_ports
from tests.fixtures.wire import Wire, wire

AWAY_SECONDS = float(os.environ.get("AWAY_SECONDS", "5"))
REAL = AWAY_SECONDS >= 300
"""Whether it lasts long enough for the daemon's own settings, and the alerts as they are shipped."""
PATIENCE_S = 30 if REAL else 1
NOTICED_WITHIN, BACK_WITHIN = 60, 30
"""Seconds, at the daemon's own settings."""
ALERTS = Path(__file__).parents[2] / "deploy/prometheus/alerts.yml"
PROMETHEUS = os.environ.get("PROMETHEUS") or shutil.which("prometheus")


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[str]:
    """The URL of a Prometheus that watches a daemon. Where there is no time for it, its alerts wait for a second."""
    folder.mkdir()
    rules = yaml.safe_load(ALERTS.read_text())
    interval = {"scrape_interval": "5s", "evaluation_interval": "15s"}
    if not REAL:
        interval = dict.fromkeys(interval, "1s")
        for rule in rules["groups"][0]["rules"]:
            rule["for"] = "1s"
    (folder / "alerts.yml").write_text(yaml.safe_dump(rules))
    scrape = [{"job_name": "ifrud", "static_configs": [{"targets": [target]}]}]
    config = {"global": interval, "rule_files": ["alerts.yml"], "scrape_configs": scrape}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    (port,) = free_ports(1)
    flags = {
        "config.file": folder / "prometheus.yml",
        "storage.tsdb.path": folder,
        "web.listen-address": f"127.0.0.1:{port}",
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([str(PROMETHEUS), *(f"--{name}={flag}" for name, flag in flags.items())], stderr=log)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def firing(url: str) -> set[str]:
    """Alerts that fire now."""
    try:
        found = httpx.get(f"{url}/api/v1/alerts").json()["data"]["alerts"]
    except httpx.HTTPError:
        return set()
    return {alert["labels"]["alertname"] for alert in found if alert["state"] == "firing"}


class Clock:
    """Seconds since a moment, and what happened when."""

    def __init__(self, what: str) -> None:
        self.start = time.monotonic()
        self.what = what

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.start

    def tell(self, what: str) -> float:
        seconds = self.seconds
        print(f"{self.what} {seconds:6.1f} s: {what}", flush=True)
        return seconds


def away(each: Wire, how: str) -> None:
    each.silent, each.down = how == "silent", how == "down"
    if each.down:
        each.cut()


@pytest.mark.parametrize(
    ("who", "how"),
    [("broker", "silent"), ("store", "down"), *([("broker", "down"), ("store", "silent")] if REAL else [])],
)
def test_the_daemon_outlasts_who_is_away_and_says_who(
    who: Literal["broker", "store"],
    how: Literal["silent", "down"],
    kafka: Kafka,
    bucket: str,
    store: Path,
    tmp_path: Path,
) -> None:
    endpoint = urlsplit(os.environ.get("AWS_ENDPOINT_URL", ""))
    if kafka.far is None or endpoint.scheme != "http" or endpoint.port is None:
        pytest.skip("needs a broker and a bucket of its own: set KAFKA_HOME, and unset KAFKA_BOOTSTRAP and S3_TEST_URL")
    near = Places(store, *(kafka.url(kafka.topic()) for _ in range(3)), bucket)
    with ExitStack() as stack:
        to_broker = stack.enter_context(wire(("127.0.0.1", kafka.far[0]), 0, kafka.far[1]))
        to_bucket = stack.enter_context(wire((str(endpoint.hostname), endpoint.port), 0))
        distant = [url.replace(kafka.bootstrap, f"127.0.0.1:{to_broker.port}") for url in near.streams]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{to_bucket.port}")
            flags = ("--set", f"patience_s={PATIENCE_S}")
            running = stack.enter_context(daemon(tmp_path / "daemon", Places(store, *distant, bucket), *flags))
        await_(running.ready, "the daemon")
        watching = None
        if PROMETHEUS:
            watching = stack.enter_context(prometheus(tmp_path / "prometheus", urlsplit(running.url).netloc))
        ask(near, "r1", "u1")
        await_(lambda: get(f"{running.url}/readyz").status_code == 200, "readiness")
        gone = to_broker if who == "broker" else to_bucket
        away(gone, how)
        noticed = _absence(running, near, who, watching)
        away(gone, "back")
        clock = Clock(f"{who} back")
        await_(lambda: "r2" in distinct(lines(near.receipts)), "the receipt")
        await_(lambda: get(f"{running.url}/readyz").status_code == 200, "readiness")
        back = clock.tell("ready, and what waited is answered")
        assert not REAL or (noticed <= NOTICED_WITHIN and back <= BACK_WITHIN)
        ask(near, "r3", "u3")
        assert running.stop() == 0, running.log()[-1]
    claims = [manifest.version for manifest in near.manifests() if manifest.claims is not None]
    assert claims == [2], "it started more than once"
    assert {name: len(each) for name, each in distinct(lines(near.receipts)).items()} == {"r1": 1, "r2": 1, "r3": 1}


def ask(near: Places, name: str, user: str) -> None:
    """Ask, and wait for the answer."""
    submit([erase_user(name, user)], near.events, max_bytes=2**20)
    await_(lambda: name in distinct(lines(near.receipts)), "the receipt")


def _absence(running: Daemon, near: Places, who: str, watching: str | None) -> float:
    """What the daemon and Prometheus say meanwhile; seconds until it was not ready."""
    clock = Clock(f"{who} away")
    submit([erase_user("r2", "u2")], near.events, max_bytes=2**20)
    await_(lambda: get(f"{running.url}/readyz").status_code == 503, "it to be noticed")
    noticed = clock.tell(f"not ready: {get(f'{running.url}/readyz').text.strip()}")
    peer = "source" if who == "broker" else "store"
    assert peer in get(f"{running.url}/status").json()["away"]
    assert f"ifrud_{peer}_connected 0.0" in get(f"{running.url}/metrics").text
    alert, fired = f"Ifrud{peer.capitalize()}Away", watching is None
    while clock.seconds < AWAY_SECONDS or not fired:
        assert get(f"{running.url}/healthz").status_code == 200
        assert get(f"{running.url}/readyz").status_code == 503
        if watching is not None and not fired and alert in firing(watching):
            fired = True
            clock.tell(f"{alert} fires")
        time.sleep(0.2)
        assert clock.seconds < AWAY_SECONDS + 300, f"{alert} does not fire"
    clock.tell("alive all the time")
    return noticed
