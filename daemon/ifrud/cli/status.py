"""`ifrud status`: the status of a running daemon."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from ifrud.observe.status import Status
from ifrud.secret_files import read_secret

TOKEN = "IFRUD_ADMIN__TOKEN"
_SECONDS = 10.0


def status(
    url: Annotated[str, typer.Option(help="Where the daemon's admin port is.")] = "http://127.0.0.1:9377",
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    token: Annotated[
        str | None, typer.Option(envvar=TOKEN, help="The daemon's admin.token; better given by the environment.")
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(envvar=f"{TOKEN}_FILE", help="A file with that token.", show_default=False)
    ] = None,
) -> None:
    """Show the version, the position and the counts of a running daemon.

    Exit codes: 0 it answered and takes requests, 1 it answered and does not take requests, or what it depends on is
    away, 2 the token cannot be read, 5 it did not answer.
    """
    if token is None and token_file is not None:
        try:
            token = read_secret("--token-file", token_file)
        except ValueError as error:
            typer.echo(error, err=True)
            raise typer.Exit(2) from None
    try:
        # The admin port is reached directly, whatever proxies the environment names.
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        request = urllib.request.Request(f"{url.rstrip('/')}/status")
        if token is not None:
            request.add_unredirected_header("Authorization", f"Bearer {token}")
        with direct.open(request, timeout=_SECONDS) as response:
            found = Status.model_validate_json(response.read())
    except urllib.error.HTTPError as error:
        typer.echo(f"The daemon at {url} answered {error.code} {error.reason}. Is {TOKEN} its admin.token?", err=True)
        raise typer.Exit(5) from None
    except (OSError, ValueError, ValidationError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        typer.echo(f"No daemon answered at {url}: {reason}. Say where its admin port is with --url.", err=True)
        raise typer.Exit(5) from None
    if json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        Console().print(_table(found))
    raise typer.Exit(0 if found.state == "ready" and not found.away else 1)


def _table(found: Status) -> Table:
    table = Table(show_header=False, box=None)
    for name, value in found.model_dump().items():
        if isinstance(value, dict):
            value = ", ".join(f"{key}: {content}" for key, content in value.items())  # noqa: PLW2901
        table.add_row(name.replace("_", " "), "-" if value is None or value == "" else str(value))
    return table
