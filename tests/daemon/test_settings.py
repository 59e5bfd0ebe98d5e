"""Settings: where they come from, and what is said when they are wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ifrud.problems import InvalidSettings
from ifrud.settings import Settings, SubmitSettings, load_settings

URLS = {
    "events": "file:///data/events.jsonl",
    "store": "file:///data/store",
    "receipts": "kafka://broker:9092/receipts",
    "dead_letters": "kafka://broker:9092/dead",
}


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.upper().startswith("IFRUD_"):
            monkeypatch.delenv(name)


def lines(flags: Mapping[str, Any], config: Path | None = None) -> list[str]:
    with pytest.raises(InvalidSettings) as caught:
        load_settings(Settings, config, flags)
    return str(caught.value).splitlines()


def test_flags_win_over_environment_which_wins_over_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "ifrud.yaml"
    config.write_text("batch: {max_requests: 1, idle_ms: 1, max_age_ms: 1}\nmax_event_bytes: 4096\n")
    monkeypatch.setenv("IFRUD_BATCH__IDLE_MS", "2")
    monkeypatch.setenv("IFRUD_BATCH__MAX_AGE_MS", "2")
    settings = load_settings(Settings, config, {**URLS, "batch": {"max_age_ms": "3"}})
    assert (settings.batch.max_requests, settings.batch.idle_ms, settings.batch.max_age_ms) == (1, 2, 3)
    assert settings.max_event_bytes == 4096


def test_all_four_urls_are_asked_for_at_once_with_what_is_allowed() -> None:
    said = lines({})
    assert [line.split(":")[0] for line in said] == ["events", "store", "receipts", "dead_letters"]
    assert "kafka://HOST:PORT" in said[0]
    assert "s3://" in said[1]


def test_an_invalid_value_is_named_with_its_field_and_what_is_allowed() -> None:
    assert lines({**URLS, "batch": {"max_requests": 0}}) == [
        "batch.max_requests: 0 is not allowed; input should be greater than 0"
    ]
    (line,) = lines({**URLS, "events": "amqp://x/y"})
    assert line.startswith("events: URL 'amqp://x/y' has the scheme 'amqp'; allowed are file:///DIR/NAME.jsonl")
    (line,) = lines({**URLS, "store": "ftp://bucket"})
    assert line == (
        "store: URL 'ftp://bucket' is no store; allowed are s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, "
        "az://CONTAINER/PREFIX, file:///DIR or memory://NAME"
    )
    (line,) = lines({**URLS, "engine": {"support": "newton"}})
    assert "engine.support: 'newton'" in line
    assert "'residual'" in line
    assert lines({**URLS, "engine": {"device": "tpu"}}) == [
        "engine.device: 'tpu' is not allowed; string should match pattern '^(auto|cpu|cuda(:\\d+)?)$'"
    ]


def test_every_problem_is_named_in_one_go() -> None:
    said = lines({**URLS, "max_event_bytes": -1, "log": {"level": "loud"}, "refine": "maybe"})
    assert [line.split(":")[0] for line in said] == ["log.level", "max_event_bytes", "refine"]


def test_a_backlog_limit_below_the_batch_size_is_refused() -> None:
    (line,) = lines({**URLS, "batch": {"max_requests": 10, "max_backlog": 5}})
    assert line == "batch: max_backlog is 5; at least max_requests, 10, is allowed"


@pytest.mark.parametrize(
    ("given", "near"), [({"evnts": "x"}, "events"), ({"batch": {"max_request": 5}}, "batch.max_requests")]
)
def test_an_unknown_key_is_an_error_with_the_nearest_name(given: dict[str, object], near: str) -> None:
    (line,) = lines({**URLS, **given})
    assert line.endswith(f"is not a setting; the nearest is {near}")


def test_an_unknown_key_in_the_file_is_an_error(tmp_path: Path) -> None:
    config = tmp_path / "ifrud.yaml"
    config.write_text("admn:\n  port: 1\n")
    assert lines(URLS, config) == ["admn: is not a setting; the nearest is admin"]


def test_an_unknown_variable_is_an_error_with_the_nearest_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IFRUD_MAX_EVENT_BYTE", "1")
    assert lines(URLS) == ["IFRUD_MAX_EVENT_BYTE: is not a setting; the nearest is IFRUD_MAX_EVENT_BYTES"]


def test_variables_that_kubernetes_sets_for_a_service_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for service in ("IFRUD", "IFRUD_MOVIES"):
        for name in ("SERVICE_HOST", "SERVICE_PORT_HTTP", "PORT", "PORT_9377_TCP_ADDR"):
            monkeypatch.setenv(f"{service}_{name}", "tcp://10.0.0.1:9377")
    assert load_settings(Settings, None, URLS).events == URLS["events"]


@pytest.mark.parametrize(
    ("content", "said"),
    [("events: [", "is not valid YAML"), ("- a\n", "holds a list; allowed is a mapping of settings")],
)
def test_an_unusable_file_is_named(tmp_path: Path, content: str, said: str) -> None:
    config = tmp_path / "ifrud.yaml"
    config.write_text(content)
    (line,) = lines(URLS, config)
    assert str(config) in line
    assert said in line


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    (line,) = lines(URLS, tmp_path / "no.yaml")
    assert "no.yaml" in line
    assert "No such file" in line


def test_secrets_show_in_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    kafka = {"security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN", "sasl_username": "u"}
    monkeypatch.setenv("IFRUD_KAFKA__SASL_PASSWORD", "hunter2")
    settings = load_settings(Settings, None, {**URLS, "kafka": kafka})
    assert settings.kafka.sasl_password is not None
    assert settings.kafka.sasl_password.get_secret_value() == "hunter2"
    assert "hunter2" not in f"{settings!r} {settings.model_dump()} {settings.model_dump_json()}"
    wrong: list[dict[str, Any]] = [
        {**URLS, "kafka": {**kafka, "sasl_mechanism": "GSSAPI"}},
        {**URLS, "kafka": {"sasl_password": ["hunter2"]}},
        {**URLS, "events": "kafka://u:hunter2@broker:9092/events"},
        {**URLS, "store": "s3://key:hunter2@bucket/prefix"},
    ]
    for flags in wrong:
        assert "hunter2" not in "".join(lines(flags))


def test_sasl_without_a_user_is_refused() -> None:
    (line,) = lines({**URLS, "kafka": {"security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN"}})
    assert line == "kafka: sasl_username is not set; security_protocol SASL_SSL needs it"


def test_the_defaults_are_valid() -> None:
    settings = load_settings(Settings, None, URLS)
    assert Settings.model_validate(settings.model_dump()).model_dump() == settings.model_dump()


def test_submit_needs_no_more_than_where_events_go(tmp_path: Path) -> None:
    config = tmp_path / "ifrud.yaml"
    config.write_text(f"events: {URLS['events']}\nbatch: {{idle_ms: 5}}\n")
    assert load_settings(SubmitSettings, config, {}).events == URLS["events"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"receipts": "file:///data/events.jsonl"},
            "receipts: 'file:///data/events.jsonl' is the same stream as events",
        ),
        ({"dead_letters": "file:///data/events.jsonl"}, "dead_letters: .* is the same stream as events"),
        ({"dead_letters": "kafka://broker:9092/receipts"}, "dead_letters: .* is the same stream as receipts"),
        (
            {"dead_letters": "kafka://other:9092,broker:9092/receipts"},
            "dead_letters: .* is the same stream as receipts",
        ),
    ],
)
def test_events_receipts_and_dead_letters_are_three_streams(changes: dict[str, str], said: str) -> None:
    (line,) = lines({**URLS, **changes})
    assert re.match(said, line)


def test_one_file_by_two_paths_is_one_stream(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    urls = {"events": f"file://{tmp_path}/a.jsonl", "receipts": f"file://{tmp_path}/link/a.jsonl"}
    (line,) = lines({**URLS, **urls})
    assert line.startswith("receipts: ")


def test_topics_of_one_name_on_other_brokers_are_two_streams() -> None:
    urls = {"receipts": "kafka://a:9092/topic", "dead_letters": "kafka://b:9092/topic"}
    assert load_settings(Settings, None, {**URLS, **urls}).dead_letters == urls["dead_letters"]
