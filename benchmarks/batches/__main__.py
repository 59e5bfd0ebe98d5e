"""`python -m benchmarks.batches`: one combined batch against single requests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks.base import trained
from benchmarks.batches.measure import Asked, measure
from benchmarks.batches.picture import draw
from benchmarks.batches.report import markdown
from benchmarks.command import DATA_HELP, Folder, Json, Keep, Plot, Seed, Threads, facts, heading, known, listed, run
from benchmarks.engines import SUPPORTS, settings
from benchmarks.kept import Kept
from benchmarks.setups import FOLDER, SETUPS, default_setup, load
from benchmarks.warm_up import warm_up
from ifru.cli.output import print_json, progress
from ifru.engine.settings import EngineSettings

_DEFAULTS = EngineSettings()
_TOLERANCES = (_DEFAULTS.tolerance, 0.35)
_CASES = ("rows:1000", "users:100")
_QUICK_CASES = ("rows:30", "users:10")


def main(
    data: Annotated[str | None, typer.Option(help=DATA_HELP, show_default="ml-100k")] = None,
    folder: Folder = FOLDER,
    case: Annotated[
        list[str] | None,
        typer.Option(help="Up to rows:N or users:N; may be repeated.", show_default=", ".join(_CASES)),
    ] = None,
    tolerance: Annotated[
        list[float] | None,
        typer.Option(
            help="Residual influence that an answer may leave; may be repeated.",
            show_default=", ".join(f"{tolerance:g}" for tolerance in _TOLERANCES),
        ),
    ] = None,
    support: Annotated[str, typer.Option(help=f"Which rows move: {', '.join(SUPPORTS)}.")] = _DEFAULTS.support,
    repeats: Annotated[int, typer.Option(min=1, help="Of short work; the median counts.")] = 7,
    threads: Threads = None,
    seed: Seed = 0,
    keep: Keep = None,
    plot: Plot = Path("batches.png"),
    quick: Annotated[bool, typer.Option("--quick", help="Few requests, few repeats: to see that it works.")] = False,
    json: Json = False,
) -> None:
    """Forget m requests in one combined batch, and m times one; hold time and what is left against each other.

    left = 1: nothing forgotten; 0: the exactly retrained model. Prints Markdown and writes a PNG.
    """
    name = known("--data", data or default_setup(folder), SETUPS)
    asked = Asked(support, tolerance or _TOLERANCES, repeats, seed)
    for wanted in asked.tolerances:
        settings(support, wanted)
    if quick:
        asked = replace(asked, repeats=1)
    if threads is not None:
        torch.set_num_threads(threads)
    kept = Kept(keep)
    with progress() as report:
        report("compiling", None)
        warm_up()
        base = trained(name, SETUPS[name], load(SETUPS[name], folder, seed), seed, kept, report)
        found = [measure(base, at, asked, kept, report) for at in case or (_QUICK_CASES if quick else _CASES)]
    draw(found, plot, heading(base))
    known_facts = {**facts(base), "support": support}
    if json:
        print_json({"base": known_facts, "batches": [batches.document() for batches in found]})
    else:
        typer.echo(f"# {heading(base)}\n\n{listed(known_facts)}\n\n{markdown(found)}")


if __name__ == "__main__":
    run(main)
