"""Tokens for brokers that ask for OAUTHBEARER: from a server of them, to a real broker."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs

import pytest
from kafka import KafkaProducer
from kafka.errors import KafkaConnectionError

from ifrud.settings import KafkaSettings
from ifrud.streams.access_tokens import AccessTokens
from ifrud.streams.sources import SourceError
from tests.daemon.sources.test_kafka_source import ABSENT, login, producer, read, send, source_on
from tests.fixtures.kafka import Kafka

__all__ = ["login", "producer"]


@dataclass
class Issuer:
    """A server of tokens that answers with `status` and `body`, and keeps the forms that it was asked with."""

    url: str = ""
    status: int = 200
    body: bytes = b""
    asked: list[dict[str, list[str]]] = field(default_factory=list)


@contextmanager
def _issuing() -> Iterator[Issuer]:
    issuer = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            issuer.asked.append(parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode()))
            self.send_response(issuer.status)
            self.send_header("Content-Length", str(len(issuer.body)))
            self.end_headers()
            self.wfile.write(issuer.body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer.url = f"http://127.0.0.1:{server.server_address[1]}/token"
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with _issuing() as found:
        yield found


def _settings(url: str) -> KafkaSettings:
    return KafkaSettings.model_validate(
        {
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "OAUTHBEARER",
            "oauth_token_url": url,
            "oauth_client_id": "ifrud",
            "oauth_client_secret": "hunter2",
            "oauth_scope": "kafka",
        }
    )


def _unsecured(seconds: float) -> str:
    """A token without a signature (RFC 7519, section 6), as brokers take them that are not set up for others."""
    now = time.time()
    parts = ({"alg": "none"}, {"sub": "ifrud", "iat": now, "exp": now + seconds})
    return ".".join(base64.urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=").decode() for each in parts) + "."


def _answer(token: str, seconds: float = 100) -> bytes:
    return json.dumps({"access_token": token, "expires_in": seconds}).encode()


def test_a_broker_is_read_with_a_token_that_the_credentials_bought(
    kafka: Kafka, producer: KafkaProducer, login: str, issuer: Issuer
) -> None:
    issuer.body = _answer(_unsecured(600), 600)
    topic = kafka.topic()
    send(producer, topic, 1)
    with source_on(kafka, topic, _settings(issuer.url), server=login) as source:
        assert len(read(source, 1)) == 1
    form = {"grant_type": "client_credentials", "client_id": "ifrud", "client_secret": "hunter2", "scope": "kafka"}
    assert issuer.asked[0] == {name: [value] for name, value in form.items()}


def test_a_token_that_the_broker_refuses_is_an_error_that_does_not_repeat_it(
    kafka: Kafka, login: str, issuer: Issuer
) -> None:
    issuer.body = _answer(_unsecured(-600))
    with pytest.raises(SourceError, match="credentials") as caught:
        source_on(kafka, kafka.topic(), _settings(issuer.url), timeouts=ABSENT, server=login)
    assert "hunter2" not in str(caught.value)


def test_a_token_serves_all_connections_until_its_life_nears_its_end(issuer: Issuer) -> None:
    now = [0.0]
    tokens = AccessTokens(_settings(issuer.url), 5, lambda: now[0])
    issuer.body = _answer("first", 100)
    assert [tokens.token(), tokens.token()] == ["first", "first"]
    issuer.body = _answer("second", 100)
    now[0] = 79.0
    assert tokens.token() == "first"
    now[0] = 80.0
    assert tokens.token() == "second"
    assert len(issuer.asked) == 2


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, b"{}", "answered 401; are oauth_client_id"),
        (200, b"<html>", "something else than JSON with an access_token"),
        (200, b"{}", "something else than JSON with an access_token"),
        (200, b"[]", "something else than JSON with an access_token"),
    ],
)
def test_a_server_that_gives_no_token_is_an_error_that_says_what_to_look_at(
    status: int, body: bytes, said: str, issuer: Issuer
) -> None:
    issuer.status, issuer.body = status, body
    with pytest.raises(KafkaConnectionError, match=said) as caught:
        AccessTokens(_settings(issuer.url), 5).token()
    assert "hunter2" not in str(caught.value)


def test_a_server_that_is_away_is_an_error_that_names_it() -> None:
    with pytest.raises(KafkaConnectionError, match=r"http://127\.0\.0\.1:1/token does not answer"):
        AccessTokens(_settings("http://127.0.0.1:1/token"), 5).token()


def test_what_a_token_needs_is_asked_for() -> None:
    with pytest.raises(ValueError, match="oauth_token_url is not set; sasl_mechanism OAUTHBEARER needs it"):
        KafkaSettings(security_protocol="SASL_SSL", sasl_mechanism="OAUTHBEARER")
