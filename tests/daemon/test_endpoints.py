"""Which URLs name a stream, and what is said of the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from ifrud.streams.endpoints import EndpointError, FileEndpoint, TopicEndpoint, parse_endpoint


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("file:///var/lib/events.jsonl", "/var/lib/events.jsonl"),
        ("file://localhost/var/lib/events.jsonl", "/var/lib/events.jsonl"),
        ("file:/var/lib/events.jsonl", "/var/lib/events.jsonl"),
        ("file:///with%20space/%C3%A9.jsonl", "/with space/é.jsonl"),
        ("file:///100%25/a%23b%3Fc.jsonl", "/100%/a#b?c.jsonl"),
        ("file:///plain+plus.jsonl", "/plain+plus.jsonl"),
    ],
)
def test_a_file_url_names_an_absolute_path(url: str, path: str) -> None:
    assert parse_endpoint(url) == FileEndpoint(Path(path))


@pytest.mark.parametrize("name", ["events.jsonl", "é 100%.jsonl", "a#b?c.jsonl", "%41.jsonl", "[1].jsonl"])
def test_every_path_survives_its_own_url(tmp_path: Path, name: str) -> None:
    assert parse_endpoint((tmp_path / name).as_uri()) == FileEndpoint(tmp_path / name)


@pytest.mark.parametrize(
    ("url", "servers", "topic"),
    [
        ("kafka://localhost:9092/events", ("localhost:9092",), "events"),
        ("kafka://a.b-c_d:1,127.0.0.1:65535/a.B_c-1", ("a.b-c_d:1", "127.0.0.1:65535"), "a.B_c-1"),
        ("kafka://[::1]:9092/events", ("[::1]:9092",), "events"),
    ],
)
def test_a_kafka_url_names_servers_and_a_topic(url: str, servers: tuple[str, ...], topic: str) -> None:
    assert parse_endpoint(url) == TopicEndpoint(servers, topic)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("events.jsonl", "has no scheme"),
        ("/var/lib/events.jsonl", "has no scheme"),
        ("http://host/events.jsonl", "has the scheme 'http'"),
        ("file:events.jsonl", "is relative"),
        ("file://events.jsonl", "names the host 'events.jsonl'"),
        ("file://./events.jsonl", "names the host '.'"),
        ("file://~/events.jsonl", "names the host '~'"),
        ("file:///a/../events.jsonl", "'.' or '..'"),
        ("file:///a/%2E%2e/events.jsonl", "'.' or '..'"),
        ("file:///a/./events.jsonl", "'.' or '..'"),
        ("file:///a%2Fb.jsonl", "%2F"),
        ("file:///a%00b.jsonl", "%00"),
        ("file:///100%.jsonl", "written %25"),
        ("file:///%FF.jsonl", "UTF-8"),
        ("file:///events.jsonl?x=1", "query or a fragment"),
        ("file:///events#1.jsonl", "query or a fragment"),
        ("file:///var/lib/", "NAME.jsonl"),
        ("file:///var/lib/events.csv", "NAME.jsonl"),
        ("file:///var/lib/.jsonl", "NAME.jsonl"),
        ("kafka:///events", "names the broker ''"),
        ("kafka://host/events", "names the broker 'host'"),
        ("kafka://host:0/events", "from 1 to 65535"),
        ("kafka://host:65536/events", "from 1 to 65535"),
        ("kafka://a:1,,b:2/events", "names the broker ''"),
        ("kafka://host:9092", "names the topic ''"),
        ("kafka://host:9092/a/b", "names the topic 'a/b'"),
        ("kafka://host:9092/..", "names the topic '..'"),
        ("kafka://host:9092/" + "a" * 250, "1 to 249"),
        ("kafka://[::1/events", "not valid"),
    ],
)
def test_any_other_url_is_refused_with_its_reason_and_what_is_allowed(url: str, reason: str) -> None:
    with pytest.raises(EndpointError) as refused:
        parse_endpoint(url)
    assert reason in str(refused.value)
    assert "allowed are file:///DIR/NAME.jsonl and kafka://HOST:PORT" in str(refused.value)


def test_credentials_in_a_url_are_refused_and_not_repeated() -> None:
    with pytest.raises(EndpointError, match=r"kafka\.sasl_password") as refused:
        parse_endpoint("kafka://user:pass-word@host:9092/events")
    assert "pass-word" not in str(refused.value)
