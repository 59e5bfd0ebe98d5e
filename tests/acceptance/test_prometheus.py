"""Every panel and every alert, asked of a Prometheus that scrapes a running daemon."""

from __future__ import annotations

import math
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.acceptance.running import Places, await_, daemon, erase_user, pairs, request
from tests.deploy.deployed import ALERTS, alerts, program, queries


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[str]:
    """Its URL. It scrapes the target once a second."""
    binary = program("prometheus", "PROMETHEUS")
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(ALERTS)],
        "scrape_configs": [{"job_name": "ifrud", "static_configs": [{"targets": [target]}]}],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    places = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb"]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen([binary, *places, f"--web.listen-address={address}"], stdout=log, stderr=log)
    try:
        yield f"http://{address}"
    finally:
        process.kill()
        process.wait()


def asked(url: str, query: str) -> list[float]:
    """The values of a query's series. Raises AssertionError with Prometheus' words where it refuses it."""
    try:
        answer = httpx.get(f"{url}/api/v1/query", params={"query": query}).json()
    except httpx.HTTPError:
        return []
    assert answer["status"] == "success", answer
    return [float(series["value"][1]) for series in answer["data"]["result"]]


def filled(query: str) -> str:
    """A panel's query as Grafana sends it."""
    for name, value in {"$job": "ifrud", "$instance": ".*", "$__rate_interval": "1m"}.items():
        query = query.replace(name, value)
    return query


def evaluated(url: str) -> list[dict[str, Any]]:
    groups = httpx.get(f"{url}/api/v1/rules").json()["data"]["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_every_panel_has_series_and_every_alert_is_evaluated(file_places: Places, tmp_path: Path) -> None:
    events = [
        erase_user("r1", min(user for user, _ in pairs(file_places.version().dataset))),
        request("r2", type="no such type"),
    ]
    (tmp_path / "events.jsonl").write_bytes(b"".join(event + b"\n" for event in events))
    with daemon(tmp_path / "daemon", file_places) as running:
        address = running.url.removeprefix("http://").rstrip("/")
        with prometheus(tmp_path, address) as url:
            for known in (
                'ifrud_requests_total{state="published"} > 0',
                "sum(ifrud_dead_letters_total) > 0",
                "ifrud_proof_rms_bound > 0",
                "count_over_time(ifrud_version[1m]) > 3",
            ):
                await_(lambda query=known: asked(url, query) != [], known)  # type: ignore[misc]
            found = {(title, query): asked(url, filled(query)) for title, query in queries()}
            await_(lambda: all(rule["health"] != "unknown" for rule in evaluated(url)), "the first evaluation")
            rules = {rule["name"]: rule for rule in evaluated(url)}
    for (title, query), values in found.items():
        print(f"| {title} | `{query}` | {len(values)} | {sum(not math.isnan(value) for value in values)} |")
    for name, rule in rules.items():
        print(f"| {name} | {rule['state']} | {rule['health']} |")
    assert [title for (title, _), values in found.items() if not values] == []
    assert {name: rule["health"] for name, rule in rules.items()} == {rule["alert"]: "ok" for rule in alerts()}
    assert [name for name, rule in rules.items() if rule["state"] == "firing"] == ["IfrudDeadLetters"]
