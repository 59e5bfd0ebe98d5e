"""Command `ifru`: train, import, retrain, adopt, prove, verify, inspect, audit, request, collect, rekey and compile."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import version as installed
from typing import Annotated

import typer

from ifru.cli.adopt import adopt
from ifru.cli.audit import audit
from ifru.cli.collect import collect
from ifru.cli.compiling import compile_ahead
from ifru.cli.importing import app as importing
from ifru.cli.inspect import inspect
from ifru.cli.prove import prove
from ifru.cli.rekey import rekey
from ifru.cli.request import request
from ifru.cli.retrain import retrain
from ifru.cli.train import train
from ifru.cli.verify import verify
from ifru.errors import IfruError

app = typer.Typer(
    name="ifru",
    help="Recommender models that can forget, and the proof of how far they did.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ifru {installed('ifru')}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version of the package.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """What all commands share."""


app.command()(train)
app.add_typer(importing, name="import")
app.command()(retrain)
app.command()(adopt)
app.command()(verify)
app.command()(prove)
app.command()(inspect)
app.command()(audit)
app.command()(request)
app.command()(collect)
app.command()(rekey)
app.command("compile")(compile_ahead)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; ends the process. Exit code 2: the input is wrong, and one line says how."""
    try:
        app(args=arguments)
    except IfruError as error:
        typer.echo(f"ifru: {error}", err=True)
        sys.exit(2)
