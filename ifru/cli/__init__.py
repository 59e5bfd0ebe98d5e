"""The `ifru` command: train, import, prove, verify, inspect, audit, compile."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from ifru.cli.audit import audit
from ifru.cli.compiling import compile_ahead
from ifru.cli.importing import app as importing
from ifru.cli.inspect import inspect
from ifru.cli.prove import prove
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
app.command()(train)
app.add_typer(importing, name="import")
app.command()(verify)
app.command()(prove)
app.command()(inspect)
app.command()(audit)
app.command("compile")(compile_ahead)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; ends the process. Exit code 2: the input is wrong, and one line says how."""
    try:
        app(args=arguments)
    except IfruError as error:
        typer.echo(f"ifru: {error}", err=True)
        sys.exit(2)
