"""The command line of `ifrud`, up to where the daemon starts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ifrud.cli import app

RUNNER = CliRunner()


@pytest.mark.parametrize(
    "command", ["run", "submit", "approve", "status", "schemas", "dead-letters list", "dead-letters replay"]
)
def test_every_command_explains_itself_and_its_exit_codes(command: str) -> None:
    result = RUNNER.invoke(app, [*command.split(), "--help"])
    assert result.exit_code == 0
    assert "Exit codes" in result.output


def test_help_and_wrong_settings_do_not_wait_for_the_libraries_of_the_model() -> None:
    program = "import sys, ifrud.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_run_says_all_that_is_missing_and_starts_nothing() -> None:
    result = RUNNER.invoke(app, ["run", "--drain"])
    assert result.exit_code == 2
    assert [line.split(":")[0] for line in result.stderr.splitlines()] == [
        "events",
        "store",
        "receipts",
        "dead_letters",
    ]


@pytest.mark.parametrize("command", ["run --drain", "submit", "approve r1", "dead-letters list", "dead-letters replay"])
def test_programs_are_told_which_settings_are_wrong(command: str) -> None:
    arguments = command.split()
    told = RUNNER.invoke(app, [*arguments, "--json"])
    document = json.loads(told.stderr)
    assert (told.exit_code, told.stdout) == (2, "")
    assert (document["error"], document["exit_code"]) == ("InvalidSettings", 2)
    assert document["problems"] == RUNNER.invoke(app, arguments).stderr.splitlines()


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("batch.max_requests", "--set: 'batch.max_requests' is not allowed; allowed is NAME=VALUE"),
        ("batch.max_requets=5", "batch.max_requets: is not a setting; the nearest is batch.max_requests"),
        ('kafka.group={"0": "x"}', "kafka.group: {'0': 'x'} is not allowed; input should be a valid string"),
    ],
)
def test_an_assignment_that_means_nothing_is_an_error(flag: str, said: str) -> None:
    result = RUNNER.invoke(app, ["run", "--set", flag])
    assert result.exit_code == 2
    assert any(line.startswith(said) for line in result.stderr.splitlines())


def test_submit_writes_requests_and_tells_their_ids(tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    result = RUNNER.invoke(app, ["submit", "--events", events.as_uri(), "--user", "u1", "--item", "i2"])
    assert result.exit_code == 0
    sent = [json.loads(line) for line in events.read_text().splitlines()]
    assert [(request["type"], request["subject"]) for request in sent] == [("erase_user", "u1"), ("erase_item", "i2")]
    assert result.output.splitlines()[0] == f"{sent[0]['id']} erase_user"


def test_submit_sends_nothing_of_a_file_with_one_wrong_line(tmp_path: Path) -> None:
    events, file = tmp_path / "events.jsonl", tmp_path / "requests.jsonl"
    good = {"id": "r1", "type": "erase_user", "subject": "u1", "time": "2026-11-21T10:00:00Z"}
    file.write_text(json.dumps(good) + '\n{"id": "r2"}\n')
    result = RUNNER.invoke(app, ["submit", "--events", events.as_uri(), "--file", str(file)])
    assert (result.exit_code, events.exists()) == (2, False)
    assert "event 2: type: is missing" in result.stderr


@pytest.mark.parametrize("arguments", [[], ["--file", "/nowhere/requests.jsonl"]])
def test_submit_without_anything_to_send_is_an_error(tmp_path: Path, arguments: list[str]) -> None:
    result = RUNNER.invoke(app, ["submit", "--events", (tmp_path / "events.jsonl").as_uri(), *arguments])
    assert result.exit_code == 2
    assert result.stderr


def test_status_of_nobody_says_where_it_looked() -> None:
    result = RUNNER.invoke(app, ["status", "--url", "http://127.0.0.1:1"])
    assert result.exit_code == 5
    assert "http://127.0.0.1:1" in result.stderr
