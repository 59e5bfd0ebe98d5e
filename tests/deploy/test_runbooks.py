"""Every alert has a runbook, and what it tells people to type and to look at exists."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

import ifru.cli
import ifrud.cli
from tests.deploy.deployed import DEPLOY, alerts, exposed

FOLDER = DEPLOY / "runbooks"
BOOKS = sorted(FOLDER.glob("*.md"))
FIRST = FOLDER / "first-five-minutes.md"
PROGRAMS = {"ifru": typer.main.get_command(ifru.cli.app), "ifrud": typer.main.get_command(ifrud.cli.app)}


def commands(text: str) -> Iterator[list[str]]:
    """Words of the calls of our programs in the blocks of code."""
    for line in re.findall(r"^    (.*)$", text, flags=re.MULTILINE):
        words = shlex.split(line)
        ours = [at for at, word in enumerate(words) if word in PROGRAMS and (at == 0 or words[at - 1] == "--")]
        if ours:
            yield words[ours[0] :]


def test_every_alert_leads_to_its_runbook_and_every_runbook_to_an_alert() -> None:
    led = {rule["alert"]: rule["annotations"]["runbook_url"] for rule in alerts()}
    assert led == {name: f"deploy/runbooks/{name}.md" for name in led}
    assert {book.stem for book in BOOKS} == {*led, FIRST.stem}
    for name in led:
        assert f"[{name}]({name}.md)" in FIRST.read_text(encoding="utf-8")


@pytest.mark.parametrize("book", BOOKS, ids=lambda book: book.stem)
def test_commands_metrics_and_links_of_a_runbook_exist(book: Path) -> None:
    text = book.read_text(encoding="utf-8")
    for program, *words in commands(text):
        command = PROGRAMS[program]
        while isinstance(command, TyperGroup):
            command = command.commands[words.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known
    assert set(re.findall(r"\bifrud_\w+", text)) <= exposed().keys()
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text)]
    assert [link for link in links if not (FOLDER / link).exists()] == []


@pytest.mark.parametrize("book", [book for book in BOOKS if book != FIRST], ids=lambda book: book.stem)
def test_a_runbook_says_what_to_look_at_what_to_do_and_when_it_is_over(book: Path) -> None:
    text = book.read_text(encoding="utf-8")
    assert text.startswith(f"# {book.stem}\n")
    assert re.findall(r"^## (.*)$", text, flags=re.MULTILINE) == ["Look first", "What to do", "It is over when"]
    assert len(list(re.finditer(r"^    kubectl ", text, flags=re.MULTILINE))) >= 1
