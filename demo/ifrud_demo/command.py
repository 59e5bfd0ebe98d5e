"""`ifrud demo`: training, a daemon and a comparison with retraining, on one machine."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer

from ifru.errors import IfruError
from ifrud_demo.options import Options
from ifrud_demo.process import DemoError

_DATA = "Data"
_MODEL = "Model"
_STREAM = "Stream"
_FAILED, _WRONG, _INTERRUPTED = 5, 2, 130
_ENDS = ("SIGTERM", "SIGHUP")


def demo(
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Train on your own .csv, .csv.gz or .parquet.",
            rich_help_panel=_DATA,
            show_default="MovieLens-100K, else generated ratings",
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(
            metavar="RULE",
            help="What a row's label is, as for `ifru train`.",
            rich_help_panel=_DATA,
            show_default="what suits the model",
        ),
    ] = None,
    generated: Annotated[
        bool, typer.Option("--generated", help="Train on generated ratings; download nothing.", rich_help_panel=_DATA)
    ] = False,
    model: Annotated[
        str, typer.Option(metavar="NAME", help="Which model, as for `ifru train`.", rich_help_panel=_MODEL)
    ] = "mf",
    loss: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What is minimised, as for `ifru train`: bce, squared or bpr.",
            rich_help_panel=_MODEL,
            show_default="what suits the model",
        ),
    ] = None,
    rank: Annotated[
        int | None,
        typer.Option(min=1, help="Dimensions of a row.", rich_help_panel=_MODEL, show_default="what suits the model"),
    ] = None,
    l2: Annotated[
        float | None,
        typer.Option(help="Penalty λ per interaction.", rich_help_panel=_MODEL, show_default="what suits the model"),
    ] = None,
    events: Annotated[int, typer.Option(min=5, help="How many events are sent.", rich_help_panel=_STREAM)] = 200,
    rate: Annotated[float, typer.Option(min=0.1, help="How many of them a second.", rich_help_panel=_STREAM)] = 20,
    folder: Annotated[
        Path | None,
        typer.Option("--dir", metavar="FOLDER", help="Keep everything in a folder.", show_default="a temporary one"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document; text goes to stderr.")] = False,
) -> None:
    """Train a model, run a daemon on a stream of deletion requests, and compare the result with real retraining.

    Needs no server. Where there is no --data, MovieLens-100K is downloaded once.

    Exit codes: 0 done; 2 an option or the data is wrong; 5 the daemon failed; 130 interrupted.
    """
    for name in _ENDS:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _ended)
    try:
        _run(Options(data, generated, label, model, loss, rank, l2, events, rate, folder), as_json)
    except KeyboardInterrupt:
        typer.echo("Interrupted. No process is left behind.", err=True)
        raise typer.Exit(_INTERRUPTED) from None
    except IfruError as error:
        typer.echo(f"ifrud demo: {error}", err=True)
        raise typer.Exit(_FAILED if isinstance(error, DemoError) else _WRONG) from None


def _run(options: Options, as_json: bool) -> None:
    start = time.monotonic()
    # The model's libraries take seconds to import; --help and wrong options need not wait for them.
    from ifru.cli.output import print_json
    from ifrud_demo.run import run_demo
    from ifrud_demo.screen import Screen

    screen = Screen(stderr=as_json, now=time.monotonic)
    outcome = run_demo(options, screen, start)
    if as_json:
        print_json(outcome.document())
        return
    screen.facts(outcome.facts())
    screen.table(outcome.comparison())
    for sentence in outcome.sentences():
        screen.say(sentence)


def _ended(number: int, frame: FrameType | None) -> NoReturn:
    """End the demo as Ctrl-C does: the daemon that it started is stopped first."""
    raise SystemExit(128 + number)
