"""Options that several commands of `ifrud` have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def option(text: str, metavar: str) -> Any:
    """An option with a value, whose default needs no word."""
    return typer.Option(metavar=metavar, help=text, show_default=False)


Config = Annotated[Path | None, option("Read settings from a YAML file, as `ifrud run` does.", "FILE")]
Events = Annotated[str | None, option("Send to kafka://HOST:PORT/TOPIC or file:///DIR/NAME.jsonl.", "URL")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text for people.")]
