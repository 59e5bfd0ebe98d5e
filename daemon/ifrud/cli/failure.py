"""How commands say that they failed."""

from __future__ import annotations

import json

import typer

from ifru.errors import IfruError
from ifrud.problems import InvalidSettings


def failed(error: IfruError, code: int, as_json: bool) -> typer.Exit:
    """Say on standard error what is wrong, as text or as one JSON document, and return the exit with a code."""
    if as_json:
        lines = error.lines if isinstance(error, InvalidSettings) else [str(error)]
        said = json.dumps({"error": type(error).__name__, "problems": lines, "exit_code": code}, ensure_ascii=False)
    else:
        said = str(error)
    typer.echo(said, err=True)
    return typer.Exit(code)
