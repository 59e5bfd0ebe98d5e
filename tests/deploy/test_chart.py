"""The Helm chart: its settings are the daemon's, and what it renders is accepted."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

import ifru.cli
from ifrud.settings import Settings
from tests.deploy.deployed import ALERTS, CHART, program, read_yaml, setting_names, settings_in

VALUES = read_yaml(CHART / "values.yaml")
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))

EVERYTHING = """
image: {digest: "sha256:%s"}
imagePullSecrets: [{name: pull}]
config:
  admin: {port: 8080}
  engine: {cache_bytes: 17179869184}
  kafka: {security_protocol: SASL_SSL, sasl_mechanism: PLAIN, sasl_username: u}
  accept_lost: lost-0123456789ab
existingSecrets: [one, two]
secretFiles: {secretName: three, keys: {IFRUD_KAFKA__SASL_PASSWORD: password, IFRUD_ADMIN__TOKEN: token}}
env: [{name: AWS_REGION, value: eu-central-1}]
envFrom: [{configMapRef: {name: more}}]
extraVolumes: [{name: ca, secret: {secretName: ca}}]
extraVolumeMounts: [{name: ca, mountPath: /etc/ca}]
serviceAccount: {annotations: {a: b}}
service: {annotations: {a: b}}
serviceMonitor: {enabled: true}
prometheusRule: {enabled: true, labels: {a: b}, runbookBaseUrl: "https://example.com/runbooks/"}
collect: {enabled: true}
podSecurityContext: {supplementalGroups: [3000]}
securityContext: {privileged: false}
initContainers: [{name: wait, image: busybox}]
topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway, labelSelector: {}}]
extraObjects: [{apiVersion: v1, kind: Secret, metadata: {name: "{{ .Release.Name }}-more"}}]
podDisruptionBudget: {enabled: true}
podAnnotations: {a: b}
podLabels: {a: b}
nodeSelector: {a: b}
tolerations: [{operator: Exists}]
affinity: {nodeAffinity: {}}
priorityClassName: high
""" % ("0" * 64)


def test_the_default_settings_are_valid(tmp_path: Path) -> None:
    file = tmp_path / "ifrud.yaml"
    file.write_text(yaml.safe_dump(VALUES["config"]))
    assert settings_in(file).admin.host == "0.0.0.0"


def test_the_schema_allows_the_daemons_settings_without_the_secrets_and_nothing_else() -> None:
    allowed = set(_names(SCHEMA["properties"]["config"]))
    settings = set(setting_names(Settings, secrets=False))
    assert allowed == settings, "mend the properties of config in values.schema.json"
    assert set(setting_names(Settings, secrets=True)) - settings == {
        "admin.token",
        "hash_key",
        "kafka.oauth_client_secret",
        "kafka.sasl_password",
        "kafka.ssl_password",
    }


def test_the_schema_asks_for_what_the_daemon_cannot_do_without() -> None:
    needed = {name for name, field in Settings.model_fields.items() if field.is_required()}
    assert set(SCHEMA["properties"]["config"]["required"]) == {*needed, "admin"}


def _names(schema: dict[str, Any], start: str = "") -> Iterator[str]:
    """Dotted names of the properties in a schema. None of its objects may be open."""
    assert schema["additionalProperties"] is False, start
    for name, inner in schema["properties"].items():
        if "properties" in inner:
            yield from _names(inner, f"{start}{name}.")
        else:
            yield f"{start}{name}"


def test_the_schema_knows_every_value() -> None:
    assert VALUES.keys() == SCHEMA["properties"].keys() - {"global"}


def render(text: str, folder: Path) -> list[dict[str, Any]]:
    """The chart's objects with these values, linted and rendered by helm."""
    helm, values = program("helm", "HELM"), folder / "values.yaml"
    values.write_text(text)
    for command in (["lint", "--strict", str(CHART)], ["template", "movies", str(CHART), "--namespace", "models"]):
        done = subprocess.run([helm, *command, "--values", str(values)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


@pytest.fixture(params=["", EVERYTHING], ids=["default values", "all values"])
def rendered(request: pytest.FixtureRequest, tmp_path: Path) -> list[dict[str, Any]]:
    return render(request.param, tmp_path)


def _only(objects: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    [found] = [each for each in objects if each["kind"] == kind]
    return found


def test_one_pod_at_a_time_writes(rendered: list[dict[str, Any]]) -> None:
    spec = _only(rendered, "Deployment")["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "Recreate"}


def test_the_pod_is_as_restricted_as_pod_security_asks_for(rendered: list[dict[str, Any]]) -> None:
    pod = _only(rendered, "Deployment")["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert (
        container["securityContext"].items()
        >= {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }.items()
    )
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False


def test_the_daemon_is_given_settings_that_it_accepts(
    rendered: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IFRUD_KAFKA__SASL_PASSWORD", "from a secret")
    [container] = _only(rendered, "Deployment")["spec"]["template"]["spec"]["containers"]
    [(name, text)] = _only(rendered, "ConfigMap")["data"].items()
    [mount] = [mount for mount in container["volumeMounts"] if mount["name"] == "config"]
    assert container["args"] == ["run", "--config", f"{mount['mountPath']}/{name}"]
    file = tmp_path / name
    file.write_text(text)
    settings = settings_in(file)
    assert container["ports"] == [{"name": "admin", "containerPort": settings.admin.port}]
    assert _only(rendered, "Service")["spec"]["ports"][0]["port"] == settings.admin.port


@pytest.mark.parametrize(
    "wrong", ["config.kafka.sasl_password=x", "config.batch.size=3", "config.store=null", "replicas=2"]
)
def test_helm_refuses_secrets_settings_that_do_not_exist_and_a_second_replica(wrong: str) -> None:
    done = subprocess.run(
        [program("helm", "HELM"), "template", str(CHART), "--set", wrong], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "schema" in done.stderr


def test_helm_refuses_a_setting_of_another_type() -> None:
    done = subprocess.run(
        [program("helm", "HELM"), "template", str(CHART), "--set-string", "config.refine=often"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "/config/refine" in done.stderr


@pytest.mark.parametrize("name", ["", "nameOverride: other", "fullnameOverride: other"])
def test_no_name_of_the_release_changes_the_job_that_alerts_ask_for(name: str, tmp_path: Path) -> None:
    objects = render(f"serviceMonitor: {{enabled: true}}\n{name}", tmp_path)
    monitor, labels = _only(objects, "ServiceMonitor")["spec"], _only(objects, "Service")["metadata"]["labels"]
    assert labels[monitor["jobLabel"]] == "ifrud"
    assert monitor["selector"]["matchLabels"].items() <= labels.items()


def test_the_rules_of_a_release_are_the_alerts_about_this_release_alone(tmp_path: Path) -> None:
    rule = _only(render(EVERYTHING, tmp_path), "PrometheusRule")
    assert rule["metadata"]["labels"]["a"] == "b"
    text = json.dumps(rule["spec"])
    assert (
        text.count('job=\\"ifrud\\"')
        == text.count('job=\\"ifrud\\",namespace=\\"models\\",service=\\"movies-ifrud\\"')
        > 0
    )
    text = text.replace(',namespace=\\"models\\",service=\\"movies-ifrud\\"', "")
    assert json.loads(text.replace("https://example.com/runbooks/", "deploy/runbooks/")) == read_yaml(ALERTS)
    assert (CHART / ALERTS.name).resolve() == ALERTS


def test_a_release_misses_itself_although_prometheus_never_saw_it(tmp_path: Path) -> None:
    spec = _only(render(EVERYTHING, tmp_path), "PrometheusRule")["spec"]
    absent = next(rule for rule in spec["groups"][0]["rules"] if rule["alert"] == "IfrudAbsent")
    mine = {"job": "ifrud", "namespace": "models", "service": "movies-ifrud"}
    alert = {"exp_labels": mine | absent["labels"], "exp_annotations": absent["annotations"]}
    there = {"series": 'up{job="ifrud",namespace="others",service="movies-ifrud"}', "values": "1x3000"}
    test = {
        "interval": "1m",
        "input_series": [there],
        "alert_rule_test": [{"alertname": "IfrudAbsent", "eval_time": "40h", "exp_alerts": [alert]}],
    }
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(spec))
    (tmp_path / "test.yaml").write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "tests": [test]}))
    promtool = program("promtool", "PROMTOOL")
    done = subprocess.run(
        [promtool, "test", "rules", "test.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_job_that_collects_is_the_command_of_the_same_store_and_no_pod_of_the_service(tmp_path: Path) -> None:
    objects = render(EVERYTHING, tmp_path)
    template = _only(objects, "CronJob")["spec"]["jobTemplate"]["spec"]["template"]
    [container] = template["spec"]["containers"]
    assert container["command"] == ["tini", "--", "ifru", "collect"]
    store, *options = container["args"]
    assert store == VALUES["config"]["store"]
    parsed = get_command(ifru.cli.app).commands["collect"].make_context("collect", [store, *options])  # type: ignore[attr-defined]
    assert parsed.params["older_than"] == timedelta(days=30)
    selector = _only(objects, "Service")["spec"]["selector"]
    assert not selector.items() <= template["metadata"]["labels"].items()
    [daemon] = _only(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert container["securityContext"] == daemon["securityContext"]
    assert container["envFrom"] == daemon["envFrom"]


def test_the_platform_may_choose_the_user_as_openshift_does(tmp_path: Path) -> None:
    objects = render("podSecurityContext: {runAsUser: null, runAsGroup: null, fsGroup: null}", tmp_path)
    pod = _only(objects, "Deployment")["spec"]["template"]["spec"]
    assert pod["securityContext"].keys() == {"runAsNonRoot", "fsGroupChangePolicy", "seccompProfile"}


def test_more_objects_are_templates(tmp_path: Path) -> None:
    assert _only(render(EVERYTHING, tmp_path), "Secret")["metadata"]["name"] == "movies-more"


@pytest.mark.parametrize("path", sorted(CHART.glob("*.yaml")), ids=lambda path: path.name)
def test_files_of_the_chart_that_are_no_templates_are_yaml(path: Path) -> None:
    assert isinstance(read_yaml(path), dict)
