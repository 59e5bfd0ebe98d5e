"""Secrets in files: every secret setting has one, and no error tells what it holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ifrud.cli import app
from ifrud.problems import InvalidSettings
from ifrud.settings import Settings, load_settings
from tests.deploy.deployed import setting_names

URLS = {
    "events": "file:///data/events.jsonl",
    "store": "file:///data/store",
    "receipts": "file:///data/receipts.jsonl",
    "dead_letters": "file:///data/dead.jsonl",
}
SECRETS = sorted(set(setting_names(Settings, secrets=True)) - set(setting_names(Settings, secrets=False)))
READ_AT_START = [name for name in SECRETS if name != "hash_key"]


def variable(name: str) -> str:
    return f"IFRUD_{name.upper().replace('.', '__')}"


def found(settings: Settings, name: str) -> Any:
    value: Any = settings
    for part in name.split("."):
        value = getattr(value, part)
    return value


def said() -> str:
    with pytest.raises(InvalidSettings) as caught:
        load_settings(Settings, None, URLS)
    return str(caught.value)


@pytest.mark.parametrize("name", SECRETS)
def test_every_secret_may_lie_in_a_file(name: str) -> None:
    assert f"{name}_file" in set(setting_names(Settings, secrets=False))


@pytest.mark.parametrize("name", READ_AT_START)
def test_a_secret_is_read_from_its_file_without_the_last_newline(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text(" hunter2 \n")
    monkeypatch.setenv(f"{variable(name)}_FILE", str(tmp_path / "secret"))
    settings = load_settings(Settings, None, URLS)
    assert found(settings, name).get_secret_value() == " hunter2 "
    assert "hunter2" not in f"{settings!r} {settings.model_dump()} {settings.model_dump_json()}"


def test_a_file_that_the_yaml_file_names_satisfies_the_broker(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2")
    config = tmp_path / "ifrud.yaml"
    config.write_text(
        "kafka: {security_protocol: SASL_SSL, sasl_mechanism: PLAIN, sasl_username: u, "
        f"sasl_password_file: {tmp_path / 'secret'}}}"
    )
    password = load_settings(Settings, config, URLS).kafka.sasl_password
    assert password is not None
    assert password.get_secret_value() == "hunter2"


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_and_its_file_at_once_are_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("hunter2")
    monkeypatch.setenv(f"{variable(name)}_FILE", str(tmp_path / "secret"))
    monkeypatch.setenv(variable(name), "hunter3")
    last = name.rpartition(".")[2]
    line = said()
    assert f"{last} and {last}_file are both given; allowed is one of them" in line
    assert "hunter" not in line


@pytest.mark.parametrize("name", READ_AT_START)
@pytest.mark.parametrize(
    ("content", "wrong"),
    [(None, "cannot be read (No such file or directory)"), (b"\n", "is empty"), (b"hunter2\xff", "is not UTF-8")],
)
def test_an_unusable_file_is_named_and_not_what_it_holds(
    name: str, content: bytes | None, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv(f"{variable(name)}_FILE", str(file))
    line = said()
    assert f"{name.rpartition('.')[2]}_file is {str(file)!r}, which {wrong}; allowed is a file that holds" in line
    assert "hunter" not in line


def test_no_error_about_other_settings_of_the_group_shows_what_a_file_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text("hunter2")
    monkeypatch.setenv("IFRUD_KAFKA__OAUTH_CLIENT_SECRET_FILE", str(tmp_path / "secret"))
    monkeypatch.setenv("IFRUD_KAFKA__SECURITY_PROTOCOL", "SASL_SSL")
    assert "hunter2" not in said()
    monkeypatch.setenv("IFRUD_KAFKA__SECURITY_PROTOCOL", "TLS")
    assert "hunter2" not in said()


def test_status_reads_the_token_of_the_admin_port_from_its_file(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["status"], env={"IFRUD_ADMIN__TOKEN_FILE": str(tmp_path / "token")})
    assert done.exit_code == 2
    assert str(tmp_path / "token") in done.output
