"""docs/operations.md says what is so."""

from __future__ import annotations

import re
from signal import SIGINT, SIGTERM

import yaml
from pydantic import BaseModel

from ifrud.exits import Exit
from ifrud.settings import Settings
from tests.deploy.deployed import ROOT, alerts, setting_names

GUIDE = ROOT / "docs" / "operations.md"
TEXT = GUIDE.read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """Cells of the first table under a heading."""
    section = TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def default(name: str) -> object:
    model: type[BaseModel] = Settings
    *groups, field = name.split(".")
    for group in groups:
        inner = model.model_fields[group].annotation
        assert isinstance(inner, type)
        assert issubclass(inner, BaseModel)
        model = inner
    found = model.model_fields[field]
    return "must be set" if found.is_required() else found.default


def test_the_table_of_settings_names_all_of_them_with_their_defaults() -> None:
    told = {cells[0].strip("`"): yaml.safe_load(cells[1]) for cells in rows("Settings")}
    assert told == {name: default(name) for name in setting_names(Settings, secrets=True)}


def test_every_exit_code_is_explained() -> None:
    told = [int(code) for cells in rows("Exit codes") for code in cells[0].split(", ")]
    assert told == [*sorted(Exit), 128 + SIGTERM, 128 + SIGINT]


def test_every_alert_is_explained() -> None:
    assert [cells[0].strip("`") for cells in rows("What to watch")] == [rule["alert"] for rule in alerts()]


def test_links_lead_to_files_that_exist() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", TEXT)
    assert links
    assert [link for link in links if not (GUIDE.parent / link).exists()] == []
