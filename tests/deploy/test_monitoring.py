"""The dashboard and the alerts ask for what the daemon tells."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from ifrud.observe.metrics import Metrics
from ifrud.settings import BatchSettings
from tests.deploy.deployed import (
    ALERTS,
    DEPLOY,
    alerts,
    compose,
    dashboard,
    exposed,
    metric_names,
    program,
    queries,
    read_yaml,
    settings_in,
)

GROUPED = re.compile(r"\bby\s*\(([^)]*)\)")
ANY_DAEMON = {"job", "instance"}


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("sum by (state) (rate(a_total{b=~'c'}[5m])) / sum(d)", {"a_total", "d"}),
        ('histogram_quantile(0.5, sum by (le) (rate(a_bucket{job="$job"}[$__rate_interval])))', {"a_bucket"}),
        ("a > 1e3 and on (job) b == 0 or absent(c) unless d offset 15m", {"a", "b", "c", "d"}),
    ],
)
def test_the_metrics_of_an_expression_are_told_from_its_functions_and_labels(expression: str, names: set[str]) -> None:
    assert metric_names(expression) == names


@pytest.mark.parametrize(("title", "expression"), list(queries()))
def test_a_panel_asks_for_metrics_and_labels_that_the_daemon_has(title: str, expression: str) -> None:
    known, asked = exposed(), metric_names(expression)
    assert asked, f"panel {title!r} asks for nothing"
    assert asked <= known.keys()
    labels = {label.strip() for group in GROUPED.findall(expression) for label in group.split(",")}
    assert labels <= ANY_DAEMON.union(*(known[name] for name in asked))


def test_panels_have_numbers_of_their_own_and_lie_beside_each_other() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [cell for panel in panels for cell in _cells(panel["gridPos"])]
    assert len(set(cells)) == len(cells)
    assert all(0 <= x < 24 for x, _ in cells)


def _cells(place: dict[str, int]) -> list[tuple[int, int]]:
    across, down = range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
    return [(x, y) for x in across for y in down]


def test_panels_take_their_data_from_the_source_that_is_chosen_on_the_dashboard() -> None:
    board = dashboard()
    assert "datasource" in {variable["name"] for variable in board["templating"]["list"]}
    sources = {panel["datasource"]["uid"] for panel in board["panels"] if "targets" in panel}
    assert sources == {"${datasource}"}


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_metrics_that_the_daemon_has_and_says_what_is_wrong(rule: dict[str, Any]) -> None:
    asked = metric_names(rule["expr"])
    assert asked
    assert asked <= exposed().keys()
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["description"]


def test_alerts_follow_the_default_settings() -> None:
    lag = next(rule["expr"] for rule in alerts() if rule["alert"] == "IfrudLag")
    assert re.findall(r"> (\d+)", lag) == [str(BatchSettings().max_backlog), str(BatchSettings().max_requests)]


def test_what_is_slow_is_told_from_a_bucket_that_the_histogram_has() -> None:
    registry = CollectorRegistry()
    Metrics(registry)
    [rule] = [rule for rule in alerts() if rule["alert"] == "IfrudLatencyBurn"]
    limits = re.findall(r'\w+_bucket\{[^}]*le="([^"]*)"', rule["expr"])
    assert len(limits) == 2
    for limit in limits:
        assert registry.get_sample_value("ifrud_request_latency_seconds_bucket", {"le": limit}) == 0


def test_prometheus_scrapes_the_daemon_of_the_compose_file_under_the_job_that_alerts_ask_for() -> None:
    config = read_yaml(DEPLOY / "prometheus" / "prometheus.yml")
    port = settings_in(DEPLOY / "compose" / "ifrud.yaml").admin.port
    jobs = {job["job_name"]: job["static_configs"][0]["targets"] for job in config["scrape_configs"]}
    assert jobs == {"ifrud": [f"ifrud:{port}"]}
    assert "ifrud" in compose()["services"]
    assert {job for rule in alerts() for job in re.findall(r'job="([^"]*)"', rule["expr"])} == {"ifrud"}
    assert config["rule_files"] == [ALERTS.name]


def test_promtool_accepts_the_config_and_the_alerts_and_the_alerts_do_what_their_tests_say() -> None:
    promtool = program("promtool", "PROMTOOL")
    for command in (["check", "config", "prometheus.yml"], ["test", "rules", "alerts_test.yml"]):
        done = subprocess.run(
            [promtool, *command], cwd=DEPLOY / "prometheus", capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_grafana_finds_the_dashboard_and_the_data_source() -> None:
    provisioning = DEPLOY / "grafana" / "provisioning"
    [source] = read_yaml(provisioning / "datasources" / "prometheus.yaml")["datasources"]
    [provider] = read_yaml(provisioning / "dashboards" / "ifrud.yaml")["providers"]
    services = compose()["services"]
    mounts = dict(volume.split(":")[:2] for volume in services["grafana"]["volumes"])
    assert source["type"] == "prometheus"
    assert source["url"] == "http://prometheus:9090"
    assert "prometheus" in services
    assert mounts["./grafana/dashboards"] == provider["options"]["path"]
    assert mounts["./grafana/provisioning"] == "/etc/grafana/provisioning"
