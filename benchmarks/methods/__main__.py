"""`python -m benchmarks.methods`: every method on the same data in one process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, TypeVar

import torch
import typer

from benchmarks.base import Base, trained
from benchmarks.cases import default_names
from benchmarks.compare import Compared, compare
from benchmarks.kept import Kept
from benchmarks.methods import METHODS, Budget
from benchmarks.plot import draw
from benchmarks.setups import FOLDER, SETUPS, default_setup, load
from benchmarks.table import markdown
from benchmarks.warm_up import warm_up
from ifru.cli.output import print_json, progress
from ifru.errors import IfruError

T = TypeVar("T")

_QUICK_SECONDS = 5.0
_QUICK_CASES = ("rows:100", "users:10")
_QUICK_REPEATS = 3


def main(
    data: Annotated[str | None, typer.Option(help=f"Which data: {', '.join(SETUPS)}.", show_default="ml-100k")] = None,
    folder: Annotated[Path, typer.Option(help="Where the data files are.", show_default="../shared/data")] = FOLDER,
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
    threads: Annotated[int | None, typer.Option(min=1, show_default="one for each core")] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    keep: Annotated[
        Path | None, typer.Option(help="Keep trained base models and exact retrains here.", show_default="nowhere")
    ] = None,
    plot: Annotated[Path, typer.Option(help="The PNG that is written.")] = Path("methods.png"),
    quick: Annotated[bool, typer.Option("--quick", help="Coarse grids, two cases: to see that it works.")] = False,
    json: Annotated[bool, typer.Option("--json", help="All points as JSON in place of the tables.")] = False,
) -> None:
    """Forget the same rows by every method, and hold what each leaves against its time.

    left = 1: nothing forgotten; 0: the exactly retrained model. Prints Markdown and writes a PNG.
    """
    name = data or default_setup(folder)
    setup = _known("--data", name, SETUPS)
    setup = replace(setup, rank=rank or setup.rank, l2=l2 or setup.l2, core=core or setup.core)
    methods = list(method or METHODS)
    for wanted in methods:
        _known("--method", wanted, METHODS)
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
    draw(found, plot, _heading(base))
    if json:
        print_json({"base": _facts(base), "cases": [compared.document() for compared in found]})
    else:
        typer.echo(_text(base, found))


def _known(option: str, name: str, allowed: Mapping[str, T]) -> T:
    if name not in allowed:
        raise IfruError(f"{option} is {name!r}; allowed are {', '.join(allowed)}")
    return allowed[name]


def _text(base: Base, found: list[Compared]) -> str:
    facts = "\n".join(f"- {name.replace('_', ' ')}: {value}" for name, value in _facts(base).items())
    first, _, rest = markdown(found, _heading(base)).partition("\n")
    return f"{first}\n\n{facts}\n{rest}"


def _heading(base: Base) -> str:
    config = base.config
    return f"{base.name}: matrix factorisation, rank {config.rank}, λ {config.l2:g}"


def _facts(base: Base) -> dict[str, object]:
    return {
        "data": base.name,
        "training_rows": base.train.retained,
        "users": base.train.users,
        "items": base.train.items,
        "rank": base.config.rank,
        "l2": base.config.l2,
        "l2_tried": {f"{l2:g}": round(auc, 4) for l2, auc in base.tried.items()},
        "relative_gap": base.relative_gap,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
    }


def _run() -> None:
    try:
        typer.run(main)
    except IfruError as error:
        typer.echo(str(error), err=True)
        raise SystemExit(2) from error


if __name__ == "__main__":
    _run()
