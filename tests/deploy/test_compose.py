"""The compose file: everything that it names is there, and its parts agree with each other."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ifrud.streams.endpoints import TopicEndpoint, parse_endpoint
from tests.deploy.deployed import DEPLOY, compose, settings_in

SERVICES = compose()["services"]
SETTINGS = DEPLOY / "compose" / "ifrud.yaml"


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_mounts_only_files_that_exist_and_volumes_that_are_declared(name: str) -> None:
    for volume in SERVICES[name].get("volumes", []):
        source = volume.split(":")[0]
        if source.startswith("."):
            assert (DEPLOY / source).exists(), volume
        else:
            assert source in compose()["volumes"], volume


@pytest.mark.parametrize("name", SERVICES)
def test_the_image_of_a_service_is_pinned_or_built_here(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+(\.\d+)?", service["image"])
    if "build" in service:
        assert (DEPLOY / service["build"]["context"] / "Dockerfile").is_file()


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_waits_only_for_services_that_exist(name: str) -> None:
    assert set(SERVICES[name].get("depends_on", [])) <= SERVICES.keys()


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_open_to_this_machine_only(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


def test_the_daemon_starts_after_the_topics_and_the_base_version_are_there() -> None:
    done = {"condition": "service_completed_successfully"}
    assert SERVICES["ifrud"]["depends_on"] == {"topics": done, "base": done}


def test_the_daemon_reads_settings_that_are_valid_and_can_be_reached_from_other_containers() -> None:
    settings = settings_in(SETTINGS)
    assert settings.admin.host == "0.0.0.0"
    [mounted] = [volume for volume in SERVICES["ifrud"]["volumes"] if volume.startswith("./compose/ifrud.yaml")]
    assert mounted.split(":")[1] in SERVICES["ifrud"]["command"]
    assert f"127.0.0.1:{settings.admin.port}:{settings.admin.port}" in SERVICES["ifrud"]["ports"]


def test_the_topics_of_the_settings_are_created_at_the_broker_of_the_settings_and_never_compacted() -> None:
    settings = settings_in(SETTINGS)
    script = (DEPLOY / "compose" / "topics.sh").read_text()
    [created] = re.findall(r"for topic in (.*); do", script)
    endpoints = [parse_endpoint(url) for url in (settings.events, settings.receipts, settings.dead_letters)]
    topics = [endpoint for endpoint in endpoints if isinstance(endpoint, TopicEndpoint)]
    assert [topic.topic for topic in topics] == created.split()
    assert {server for topic in topics for server in topic.servers} == {SERVICES["topics"]["environment"]["BOOTSTRAP"]}
    assert "cleanup.policy=delete" in script


def test_the_base_version_goes_to_the_store_of_the_settings_in_the_bucket_that_is_created() -> None:
    store = settings_in(SETTINGS).store
    assert SERVICES["base"]["environment"]["STORE"] == store
    bucket = store.removeprefix("s3://").partition("/")[0]
    assert f"-bucket={bucket}" in SERVICES["seaweedfs"]["command"].split()
    assert f"/buckets/{bucket}/" in SERVICES["seaweedfs"]["healthcheck"]["test"]


@pytest.mark.parametrize("name", ["base", "ifrud"])
def test_our_own_containers_have_no_rights_that_they_do_not_need(name: str) -> None:
    service: dict[str, Any] = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_the_daemon_reaches_the_store_with_the_credentials_that_the_store_was_given() -> None:
    given = SERVICES["seaweedfs"]["environment"]
    assert SERVICES["ifrud"]["environment"] == given
    assert SERVICES["base"]["environment"].items() >= given.items()
    assert given["AWS_SECRET_ACCESS_KEY"]
