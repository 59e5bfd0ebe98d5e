"""`python -m benchmarks.methods`: every method on the same data in one process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks.base import Base, trained
from benchmarks.cases import default_names
from benchmarks.command import DATA_HELP, Folder, Json, Keep, Plot, Seed, Threads, facts, heading, known, listed, run
from benchmarks.compare import Compared, compare
from benchmarks.kept import Kept
from benchmarks.methods import METHODS, Budget
from benchmarks.plot import draw
from benchmarks.setups import FOLDER, SETUPS, default_setup, load
from benchmarks.table import markdown
from benchmarks.warm_up import warm_up
from ifru.cli.output import print_json, progress

_QUICK_SECONDS = 5.0
_QUICK_CASES = ("rows:100", "users:10")
_QUICK_REPEATS = 3


def main(
    data: Annotated[str | None, typer.Option(help=DATA_HELP, show_default="ml-100k")] = None,
    folder: Folder = FOLDER,
    case: Annotated[
        list[str] | None,
        typer.Option(help="rows:N, users:N, items:N, active:N or month; may be repeated.", show_default="all"),
    ] = None,
    method: Annotated[
        list[str] | None, typer.Option(help=f"{', '.join(METHODS)}; may be repeated.", show_default="all")
    ] = None,
    rank: Annotated[int | None, typer.Option(min=1, show_default="the data set's own")] = None,
    l2: Annotated[float | None, typer.Option(help="λ.", show_default="the data set's own, or by validation")] = None,
    core: Annotated[
        int | None,
        typer.Option(min=1, help="Leave out who has fewer rows.", show_default="the data set's own"),
    ] = None,
    seconds: Annotated[float, typer.Option(min=0, help="After so many seconds a curve ends.")] = 120.0,
    repeats: Annotated[int, typer.Option(min=1, help="Of short work; the median counts.")] = 7,
    threads: Threads = None,
    seed: Seed = 0,
    keep: Keep = None,
    plot: Plot = Path("methods.png"),
    quick: Annotated[bool, typer.Option("--quick", help="Coarse grids, two cases: to see that it works.")] = False,
    json: Json = False,
) -> None:
    """Forget the same rows by every method, and hold what each leaves against its time.

    left = 1: nothing forgotten; 0: the exactly retrained model. Prints Markdown and writes a PNG.
    """
    name = data or default_setup(folder)
    setup = SETUPS[known("--data", name, SETUPS)]
    setup = replace(setup, rank=rank or setup.rank, l2=l2 or setup.l2, core=core or setup.core)
    methods = list(method or METHODS)
    for wanted in methods:
        known("--method", wanted, METHODS)
    if threads is not None:
        torch.set_num_threads(threads)
    kept = Kept(keep)
    with progress() as report:
        report("compiling", None)
        warm_up()
        base = trained(name, setup, load(setup, folder, seed), seed, kept, report)
        budget = Budget(seconds, repeats, report=report)
        if quick:
            budget = replace(budget, seconds=_QUICK_SECONDS, repeats=_QUICK_REPEATS, coarse=True)
        cases = case or (_QUICK_CASES if quick else default_names(base))
        found = compare(base, cases, methods, budget, seed, kept)
    draw(found, plot, heading(base))
    if json:
        print_json({"base": facts(base), "cases": [compared.document() for compared in found]})
    else:
        typer.echo(_text(base, found))


def _text(base: Base, found: list[Compared]) -> str:
    first, _, rest = markdown(found, heading(base)).partition("\n")
    return f"{first}\n\n{listed(facts(base))}\n{rest}"


if __name__ == "__main__":
    run(main)
