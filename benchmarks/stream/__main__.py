"""`python -m benchmarks.stream`: requests one at a time, in several orders."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks.base import trained
from benchmarks.command import DATA_HELP, Folder, Json, Keep, Plot, Seed, Threads, facts, heading, known, listed, run
from benchmarks.engines import SUPPORTS, settings
from benchmarks.kept import Kept
from benchmarks.setups import FOLDER, SETUPS, default_setup, load
from benchmarks.stream.measure import Asked, measure
from benchmarks.stream.picture import draw
from benchmarks.stream.report import markdown
from benchmarks.warm_up import warm_up
from ifru.cli.output import print_json, progress
from ifru.engine.settings import EngineSettings

_DEFAULTS = EngineSettings()
_PREFERRED = ("ml-1m-implicit", "ml-100k")
_CASES = ("rows:1000", "users:100")
_QUICK_CASES = ("rows:30", "users:10")


def main(
    data: Annotated[
        str | None, typer.Option(help=DATA_HELP, show_default="ml-1m-implicit or ml-100k, what is there")
    ] = None,
    folder: Folder = FOLDER,
    case: Annotated[
        list[str] | None,
        typer.Option(help="rows:N or users:N; may be repeated.", show_default=", ".join(_CASES)),
    ] = None,
    orders: Annotated[int, typer.Option(min=1, help="Random orders of the same requests.")] = 5,
    idle: Annotated[int, typer.Option(min=1, help="Requests between two refinements, where there are any.")] = 10,
    tolerance: Annotated[float, typer.Option(help="Residual influence that a request may leave.")] = (
        _DEFAULTS.tolerance
    ),
    support: Annotated[str, typer.Option(help=f"Which rows move: {', '.join(SUPPORTS)}.")] = _DEFAULTS.support,
    threads: Threads = None,
    seed: Seed = 0,
    keep: Keep = None,
    plot: Plot = Path("stream.png"),
    quick: Annotated[bool, typer.Option("--quick", help="Few requests, two orders: to see that it works.")] = False,
    json: Json = False,
) -> None:
    """Forget requests one at a time, as they come, and see whether what is left, or the memory, grows with them.

    left = 1: nothing forgotten; 0: the exactly retrained model. Prints Markdown and writes a PNG.
    """
    name = known("--data", data or default_setup(folder, _PREFERRED), SETUPS)
    asked = Asked(settings(support, tolerance), orders, idle, seed)
    if quick:
        asked = replace(asked, orders=min(orders, 2), idle=min(idle, 5))
    if threads is not None:
        torch.set_num_threads(threads)
    kept = Kept(keep)
    with progress() as report:
        report("compiling", None)
        warm_up()
        base = trained(name, SETUPS[name], load(SETUPS[name], folder, seed), seed, kept, report)
        cases = case or (_QUICK_CASES if quick else _CASES)
        found = [measure(base, name, asked, kept, report) for name in cases]
    draw(found, plot, heading(base))
    known_facts = {**facts(base), "support": support, "tolerance": tolerance, "orders": asked.orders}
    if json:
        print_json({"base": known_facts, "streams": [stream.document() for stream in found]})
    else:
        typer.echo(f"# {heading(base)}\n\n{listed(known_facts)}\n\n{markdown(found)}")


if __name__ == "__main__":
    run(main)
