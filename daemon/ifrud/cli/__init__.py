"""The `ifrud` command."""

from __future__ import annotations

from importlib.metadata import version as installed
from typing import Annotated

import typer

from ifrud.cli import dead_letters
from ifrud.cli.decide import approve, reject
from ifrud.cli.run import run
from ifrud.cli.schemas import schemas
from ifrud.cli.status import status
from ifrud.cli.submit import submit
from ifrud_demo.command import demo

app = typer.Typer(
    name="ifrud",
    help="Deletion requests in, new versions of the model and receipts out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ifrud {installed('ifru')}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version of the package.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """What all commands share."""


app.command()(run)
app.command()(submit)
app.command()(approve)
app.command()(reject)
app.command()(status)
app.command()(schemas)
app.add_typer(dead_letters.app, name="dead-letters")
app.command()(demo)
