"""What of the chart is off by default: GPU, network policy, dashboard, changed alerts, disruption budget."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ifrud.settings import Settings, load_settings
from tests.deploy.deployed import ALERTS, CHART, program, read_yaml, setting_names
from tests.deploy.test_chart import SCHEMA, VALUES, render


def _named(objects: list[dict[str, Any]], kind: str, name: str = "movies-ifrud") -> dict[str, Any]:
    [found] = [each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


def test_a_gpu_is_asked_for_with_the_image_and_the_runtime_for_it(tmp_path: Path) -> None:
    objects = render("gpu: {enabled: true, count: 2, runtimeClassName: nvidia}", tmp_path)
    pod = _named(objects, "Deployment")["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert pod["runtimeClassName"] == "nvidia"
    assert container["image"].endswith("-cuda")
    assert container["resources"]["limits"] == VALUES["resources"]["limits"] | {"nvidia.com/gpu": 2}
    [tagged] = _named(render("{gpu: {enabled: true}, image: {tag: mine}}", tmp_path), "Deployment")["spec"]["template"][
        "spec"
    ]["containers"]
    assert tagged["image"].endswith(":mine")


def test_secrets_are_mounted_and_the_daemon_is_told_files_that_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = "{IFRUD_KAFKA__SASL_PASSWORD: password, IFRUD_KAFKA__SSL_PASSWORD: password, IFRUD_ADMIN__TOKEN: token}"
    objects = render(f"secretFiles: {{secretName: mine, keys: {keys}}}", tmp_path)
    pod = _named(objects, "Deployment")["spec"]["template"]["spec"]
    [container] = pod["containers"]
    [volume] = [volume["secret"] for volume in pod["volumes"] if volume["name"] == "secrets"]
    [mount] = [mount for mount in container["volumeMounts"] if mount["name"] == "secrets"]
    assert volume["secretName"] == "mine"
    assert mount["readOnly"] is True
    there = {f"{mount['mountPath']}/{item['path']}": item["key"] for item in volume["items"]}
    told = {each["name"]: each["value"] for each in container["env"] if "value" in each}
    assert {name: there[file] for name, file in told.items()} == {
        "IFRUD_KAFKA__SASL_PASSWORD_FILE": "password",
        "IFRUD_KAFKA__SSL_PASSWORD_FILE": "password",
        "IFRUD_ADMIN__TOKEN_FILE": "token",
    }
    (tmp_path / "secret").write_text("hunter2")
    for name in told:
        monkeypatch.setenv(name, str(tmp_path / "secret"))
    urls = {name: VALUES["config"][name] for name in ("events", "store", "receipts", "dead_letters")}
    assert load_settings(Settings, None, urls).admin.token is not None


def test_the_secrets_of_the_chart_are_all_that_the_daemon_has() -> None:
    secrets = set(setting_names(Settings, secrets=True)) - set(setting_names(Settings, secrets=False))
    allowed = SCHEMA["properties"]["secretFiles"]["properties"]["keys"]["propertyNames"]["enum"]
    assert set(allowed) == {f"IFRUD_{name.upper().replace('.', '__')}" for name in secrets}


def test_keys_of_no_secret_are_refused() -> None:
    wrong = ["--set", "secretFiles.keys.IFRUD_ADMIN__TOKEN=token"]
    done = subprocess.run(
        [program("helm", "HELM"), "template", str(CHART), *wrong], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "secretFiles.secretName is not; name the Secret that has the keys" in done.stderr


def test_a_network_policy_lets_the_admin_port_be_reached_and_what_is_listed(tmp_path: Path) -> None:
    listed = [{"ports": [{"port": 9092}]}]
    objects = render(f"networkPolicy: {{enabled: true, egress: {json.dumps(listed)}}}", tmp_path)
    spec = _named(objects, "NetworkPolicy")["spec"]
    pod = _named(objects, "Deployment")["spec"]["template"]
    assert spec["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    assert spec["ingress"] == [{"ports": [{"port": "admin"}]}]
    assert spec["egress"][1:] == listed
    assert {port["port"] for port in spec["egress"][0]["ports"]} == {53}
    without = _named(render("networkPolicy: {enabled: true}", tmp_path), "NetworkPolicy")["spec"]
    assert without["policyTypes"] == ["Ingress"]
    assert "egress" not in without


def test_the_dashboard_is_the_one_that_is_deployed_without_kubernetes(tmp_path: Path) -> None:
    objects = render("grafanaDashboard: {enabled: true, annotations: {grafana_folder: Privacy}}", tmp_path)
    found = _named(objects, "ConfigMap", "movies-ifrud-dashboard")
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert found["metadata"]["annotations"] == {"grafana_folder": "Privacy"}
    original = CHART.parent.parent / "grafana" / "dashboards" / "ifrud.json"
    assert json.loads(found["data"]["ifrud.json"]) == json.loads(original.read_text())


def test_alerts_are_changed_by_their_names_and_switched_off(tmp_path: Path) -> None:
    changes = """
prometheusRule:
  enabled: true
  alerts:
    IfrudLag: {for: 1h, labels: {severity: critical}, expr: 'ifrud_source_lag{job="ifrud"} > 5'}
    IfrudRequestsHeld: {enabled: false}
"""
    rules = _named(render(changes, tmp_path), "PrometheusRule")["spec"]["groups"][0]["rules"]
    known = {rule["alert"] for rule in read_yaml(ALERTS)["groups"][0]["rules"]}
    found = {rule["alert"]: rule for rule in rules}
    assert found.keys() == known - {"IfrudRequestsHeld"}
    lag = found["IfrudLag"]
    assert lag["for"] == "1h"
    assert lag["labels"] == {"severity": "critical"}
    assert lag["expr"] == 'ifrud_source_lag{job="ifrud",namespace="models",service="movies-ifrud"} > 5'
    assert lag["annotations"]["runbook_url"].endswith("IfrudLag.md")


def test_an_alert_that_does_not_exist_is_refused_with_those_that_do() -> None:
    wrong = ["--set", "prometheusRule.enabled=true", "--set", "prometheusRule.alerts.IfrudLags.for=1h"]
    done = subprocess.run(
        [program("helm", "HELM"), "template", str(CHART), *wrong], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "prometheusRule.alerts.IfrudLags: there is no such alert; there are IfrudAbsent, " in done.stderr


def test_a_disruption_budget_keeps_no_node_from_being_drained(tmp_path: Path) -> None:
    spec = _named(render("podDisruptionBudget: {enabled: true}", tmp_path), "PodDisruptionBudget")["spec"]
    assert spec["maxUnavailable"] == 1
    assert spec["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
