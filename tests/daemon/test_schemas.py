"""The documents in deploy/schemas are what the daemon reads and sends."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ifru.errors import RequestError
from ifru.requests import parse_request
from ifrud.cli import app
from ifrud.requests.dead_letters import dead_letter
from ifrud.requests.receipts import Receipt
from ifrud.schemas import documents, written
from ifrud.streams.sources import Event
from tests.deploy.deployed import DEPLOY, ROOT

FOLDER = DEPLOY / "schemas"
NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)
COMMAND = "ifrud schemas --out deploy/schemas"


def test_the_committed_schemas_are_those_of_the_code() -> None:
    committed = {file.name: file.read_text("utf-8") for file in FOLDER.glob("*.json")}
    assert committed == {name: written(document) for name, document in documents().items()}, f"write them: {COMMAND}"


def test_the_command_writes_them_and_prints_them(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["schemas", "--out", str(tmp_path / "new"), "--json"])
    assert json.loads(result.stdout) == {"written": [str(tmp_path / "new" / name) for name in documents()]}
    assert {file.name for file in (tmp_path / "new").iterdir()} == set(documents())
    assert json.loads(CliRunner().invoke(app, ["schemas"]).stdout) == documents()


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = CliRunner().invoke(app, ["schemas", "--out", str(tmp_path / "file"), "--json"])
    assert (result.exit_code, json.loads(result.stderr)["exit_code"]) == (2, 2)


def references(document: Any) -> Iterator[str]:
    if isinstance(document, dict):
        for name, value in document.items():
            if name == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(document, list):
        for each in document:
            yield from references(each)


def test_every_reference_leads_somewhere() -> None:
    found = documents()
    for name, document in found.items():
        for reference in references(document):
            file, _, path = reference.partition("#")
            target = found[file.removeprefix("./")] if file else document
            for part in filter(None, path.split("/")):
                assert part in target, f"{name}: {reference}"
                target = target[part]


def fits(name: str, document: object) -> bool:
    jsonschema = pytest.importorskip("jsonschema", reason="needs the test dependencies of this version")
    schema = documents()[f"{name}.schema.json"]
    jsonschema.Draft202012Validator.check_schema(schema)
    return bool(jsonschema.Draft202012Validator(schema).is_valid(document))


def examples() -> list[dict[str, Any]]:
    """The requests that the README shows."""
    text = (ROOT / "README.md").read_text("utf-8")
    (block,) = re.findall(r'```json\n(\{"id": "r1", .*?)\n```', text, re.DOTALL)
    return [json.loads(line) for line in block.splitlines()]


@pytest.mark.parametrize("example", examples(), ids=lambda example: example["type"])
def test_requests_of_the_readme_fit_and_lose_nothing_that_is_needed(example: dict[str, Any]) -> None:
    assert fits("request", example)
    optional = {"source", "deadline"}
    for name in example.keys() - optional:
        assert not fits("request", {key: value for key, value in example.items() if key != name})


WRONG: list[dict[str, Any]] = [
    {"id": ""},
    {"type": "erase"},
    {"subject": 4},
    {"subject": "x" * 1025},
    {"type": "release", "interactions": [["a", "b"]]},
    {"type": "erase_interactions", "interactions": []},
    {"type": "erase_interactions", "interactions": [["a"]]},
    {"type": "rectify", "interactions": [["a", "b"]], "label": "1"},
]


@pytest.mark.parametrize("change", WRONG, ids=json.dumps)
def test_what_the_daemon_refuses_does_not_fit(change: dict[str, Any]) -> None:
    good = {"id": "r1", "type": "erase_user", "subject": "196", "time": "2026-11-21T10:00:00Z"}
    assert fits("request", good)
    with pytest.raises(RequestError):
        parse_request(json.dumps(good | change))
    assert not fits("request", good | change)


def test_receipts_and_dead_letters_as_they_are_sent_fit() -> None:
    for state in ("published", "nothing_to_erase", "near_miss", "failed", "held", "granted"):
        receipt = Receipt.of(("crm", "r1"), state, 3, NOW, 0.01)
        assert fits("receipt", json.loads(receipt.line()))
    event = Event(b"\xff", b"k", (("a", b"b"),), partition=0, offset=7, next=8, received=0.0)
    letter = dead_letter(event, RequestError("payload", "is not valid JSON"), "requests", NOW)
    assert fits("dead-letter", json.loads(letter.model_dump_json()))
