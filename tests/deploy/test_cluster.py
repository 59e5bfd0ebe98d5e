"""The chart on a real Kubernetes API, in a namespace that enforces Pod Security `restricted`."""

from __future__ import annotations

import os
import uuid
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.cluster import Cluster, started
from tests.deploy.deployed import CHART, program

VALUES = sorted((CHART / "ci").glob("*-values.yaml"))
OPERATOR = "monitoring.coreos.com"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if not assets:
        pytest.skip("KUBEBUILDER_ASSETS does not name a folder with etcd and kube-apiserver")
    with started(Path(assets), tmp_path_factory.mktemp("cluster")) as cluster:
        for kind in ("ServiceMonitor", "PrometheusRule"):
            cluster.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition(kind))
        priority = {"metadata": {"name": "high"}, "value": 1000}
        cluster.create("/apis/scheduling.k8s.io/v1/priorityclasses", priority)
        cluster.create("/apis/node.k8s.io/v1/runtimeclasses", {"metadata": {"name": "nvidia"}, "handler": "nvidia"})
        yield cluster


def definition(kind: str) -> dict[str, Any]:
    """A kind of the Prometheus operator, with any content."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    plural = f"{kind.lower()}s"
    return {
        "metadata": {"name": f"{plural}.{OPERATOR}"},
        "spec": {
            "group": OPERATOR,
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "scope": "Namespaced",
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }


def secret(name: str, **values: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "data": {key: b64encode(value.encode()).decode() for key, value in values.items()},
    }


@pytest.fixture
def namespace(cluster: Cluster) -> str:
    """A namespace of its own, with the secrets that the values name."""
    name = f"models-{uuid.uuid4().hex[:8]}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"}
    cluster.create("/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
    secrets = f"/api/v1/namespaces/{name}/secrets"
    cluster.create(secrets, secret("s3", AWS_ACCESS_KEY_ID="key", AWS_SECRET_ACCESS_KEY="secret"))
    cluster.create(secrets, secret("ifrud", **{"sasl-password": "old", "hash-key": "00" * 32, "token": "t"}))
    return name


def deployed(cluster: Cluster, namespace: str) -> dict[str, Any]:
    """The one Deployment of a namespace."""
    [found] = cluster.get(f"/apis/apps/v1/namespaces/{namespace}/deployments")["items"]
    deployment: dict[str, Any] = found
    return deployment


def settings(cluster: Cluster, namespace: str) -> str:
    maps = cluster.get(f"/api/v1/namespaces/{namespace}/configmaps")["items"]
    [text] = [each["data"]["ifrud.yaml"] for each in maps if "ifrud.yaml" in each.get("data", {})]
    return str(text)


def templates(cluster: Cluster, namespace: str) -> Iterator[dict[str, Any]]:
    """What pods of the release are made from."""
    yield deployed(cluster, namespace)["spec"]["template"]
    for job in cluster.get(f"/apis/batch/v1/namespaces/{namespace}/cronjobs")["items"]:
        yield job["spec"]["jobTemplate"]["spec"]["template"]


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.name.removesuffix("-values.yaml"))
def test_a_release_is_installed_upgraded_and_rolled_back_and_its_pods_are_admitted(
    values: Path, cluster: Cluster, namespace: str
) -> None:
    helm, options = program("helm", "HELM"), ["--namespace", namespace, "--values", str(values)]
    said = cluster.helm(helm, "install", "movies", str(CHART), *options)
    assert "STATUS: deployed" in said
    assert "violate" not in said
    for template in templates(cluster, namespace):
        pod = {"metadata": {"generateName": "pod-", "labels": template["metadata"]["labels"]}, "spec": template["spec"]}
        cluster.create(f"/api/v1/namespaces/{namespace}/pods", pod, dry_run=True)
    first, before = deployed(cluster, namespace)["spec"]["template"], settings(cluster, namespace)
    assert "max_requests" not in before

    cluster.helm(helm, "upgrade", "movies", str(CHART), *options, "--set", "config.batch.max_requests=7")
    assert "max_requests: 7" in settings(cluster, namespace)
    assert deployed(cluster, namespace)["spec"]["template"]["metadata"] != first["metadata"]

    cluster.helm(helm, "rollback", "movies", "1", "--namespace", namespace)
    assert settings(cluster, namespace) == before
    assert deployed(cluster, namespace)["spec"]["template"] == first


def test_an_upgrade_starts_a_new_pod_where_a_secret_was_changed_and_only_there(
    cluster: Cluster, namespace: str
) -> None:
    helm = program("helm", "HELM")
    [values] = [path for path in VALUES if "secret-files" in path.name]
    command = ["movies", str(CHART), "--namespace", namespace, "--values", str(values)]
    cluster.helm(helm, "install", *command)
    generation = deployed(cluster, namespace)["metadata"]["generation"]
    cluster.helm(helm, "upgrade", *command)
    assert deployed(cluster, namespace)["metadata"]["generation"] == generation
    path = f"/api/v1/namespaces/{namespace}/secrets/ifrud"
    cluster.replace(path, cluster.get(path) | secret("ifrud", **{"sasl-password": "new", "hash-key": "00" * 32}))
    cluster.helm(helm, "upgrade", *command)
    assert deployed(cluster, namespace)["metadata"]["generation"] == generation + 1


def test_the_namespace_refuses_a_pod_that_is_not_restricted(cluster: Cluster, namespace: str) -> None:
    with pytest.raises(ValueError, match="violates PodSecurity"):
        pod = {"metadata": {"name": "pod"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        cluster.create(f"/api/v1/namespaces/{namespace}/pods", pod, dry_run=True)
