"""`ifrud approve` and `ifrud reject`: what they send, and what they say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ifru.snapshots import open_store
from ifrud.cli import app
from tests.daemon.world import World, erase_user, pairs

RUNNER = CliRunner()


@pytest.fixture
def events(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def sent(events: Path, kind: str = "approve") -> list[dict[str, object]]:
    found = [json.loads(line) for line in events.read_text().splitlines()]
    return [each["request"] for each in found if each["type"] == kind]


def test_ids_are_approved_each_by_an_event_that_names_it(events: Path) -> None:
    result = RUNNER.invoke(app, ["approve", "r1", "r2", "--source", "crm", "--events", events.as_uri(), "--json"])
    assert result.exit_code == 0
    assert sent(events) == [{"id": "r1", "source": "crm"}, {"id": "r2", "source": "crm"}]
    assert [each["id"] for each in json.loads(result.output)["approved"]] == ["r1", "r2"]


def test_ids_are_rejected_each_by_an_event_that_names_it(events: Path) -> None:
    arguments = ["r1", "r2", "--source", "crm", "--events", events.as_uri()]
    result = RUNNER.invoke(app, ["reject", *arguments, "--json"])
    assert result.exit_code == 0
    assert sent(events, "reject") == [{"id": "r1", "source": "crm"}, {"id": "r2", "source": "crm"}]
    assert [each["id"] for each in json.loads(result.output)["rejected"]] == ["r1", "r2"]
    assert RUNNER.invoke(app, ["reject", *arguments]).output.splitlines()[-1] == "2 rejections sent"


def test_all_are_those_that_the_newest_version_holds(tmp_path: Path, events: Path) -> None:
    store = (tmp_path / "store").as_uri()
    world = World(tmp_path, store=open_store(store))
    world.submit(erase_user("r1", 3), erase_user("r2", 1000), erase_user("r3", 4))
    world.drain(brake_share=0)
    result = RUNNER.invoke(app, ["approve", "--all", "--events", events.as_uri(), "--store", store])
    assert result.exit_code == 0, result.output
    assert sent(events) == [{"id": "r1", "source": ""}, {"id": "r3", "source": ""}]
    assert result.output.splitlines()[-1] == "2 approvals sent"
    world.drain(brake_share=0)
    assert {user for user, _ in pairs(world.newest().dataset)} & {"user 3", "user 4"} == set()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "say what to approve"),
        (["r1", "--all"], 2, "say what to approve"),
        (["--all"], 2, "store: is not set"),
        (["--all", "--store", "memory://nothing-was-ever-there"], 5, "there is no version yet"),
        ([""], 2, "request.id"),
    ],
)
def test_what_cannot_be_approved_is_told_and_nothing_is_sent(
    events: Path, arguments: list[str], code: int, said: str
) -> None:
    result = RUNNER.invoke(app, ["approve", *arguments, "--events", events.as_uri()])
    assert (result.exit_code, events.exists()) == (code, False)
    assert said in result.stderr
