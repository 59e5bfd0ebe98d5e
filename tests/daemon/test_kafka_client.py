"""Settings as the Kafka client's arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ifrud.settings import KafkaSettings
from ifrud.streams.kafka_client import RECONNECT_MS, Timeouts, arguments

TIMEOUTS = Timeouts(bootstrap=1, request=2, metadata=3)


def given(**settings: Any) -> dict[str, Any]:
    return arguments(["a:1", "b:2"], KafkaSettings(**settings), TIMEOUTS)


def test_without_security_only_servers_timeouts_and_the_longest_pause_are_passed() -> None:
    passed = given()
    assert callable(passed.pop("kafka_client"))
    assert passed == {
        "bootstrap_servers": ["a:1", "b:2"],
        "client_id": "ifrud",
        "security_protocol": "PLAINTEXT",
        "bootstrap_timeout_ms": 1,
        "request_timeout_ms": 2,
        "metadata_max_age_ms": 3,
        "reconnect_backoff_max_ms": RECONNECT_MS,
    }


def test_credentials_are_passed_in_the_clear_to_the_client() -> None:
    passed = given(
        security_protocol="SASL_PLAINTEXT", sasl_mechanism="SCRAM-SHA-512", sasl_username="me", sasl_password="secret"
    )
    assert passed["security_protocol"] == "SASL_PLAINTEXT"
    assert passed["sasl_mechanism"] == "SCRAM-SHA-512"
    assert (passed["sasl_plain_username"], passed["sasl_plain_password"]) == ("me", "secret")
    assert not [name for name in passed if name.startswith("ssl")]


def test_certificates_are_passed_as_paths(tmp_path: Path) -> None:
    ca, certificate, key = (tmp_path / name for name in ("ca.pem", "cert.pem", "key.pem"))
    for path in (ca, certificate, key):
        path.touch()
    passed = given(
        security_protocol="SSL", ssl_cafile=ca, ssl_certfile=certificate, ssl_keyfile=key, ssl_password="secret"
    )
    assert passed["ssl_cafile"] == str(ca)
    assert (passed["ssl_certfile"], passed["ssl_keyfile"]) == (str(certificate), str(key))
    assert (passed["ssl_password"], passed["ssl_check_hostname"]) == ("secret", True)


def test_both_layers_are_passed_together() -> None:
    passed = given(
        security_protocol="SASL_SSL",
        sasl_mechanism="PLAIN",
        sasl_username="me",
        sasl_password="secret",
        ssl_check_hostname=False,
    )
    assert passed["ssl_check_hostname"] is False
    assert passed["sasl_plain_username"] == "me"


def test_a_certificate_that_is_not_there_is_an_error_that_names_setting_and_path(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"kafka\.ssl_cafile is '.*/missing\.pem'"):
        given(security_protocol="SSL", ssl_cafile=tmp_path / "missing.pem")
