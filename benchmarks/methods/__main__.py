"""`python -m benchmarks.methods`: every method on the same data in one process."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from benchmarks.cases import default_names
from benchmarks.compare import compare
from benchmarks.methods import METHODS, Budget
from benchmarks.plot import draw
from benchmarks.runner import Result, RunOnData, benchmark, execute, known, of_cases
from benchmarks.table import markdown

_QUICK_SECONDS = 5.0
_QUICK_CASES = ("rows:100", "users:10")
_QUICK_REPEATS = 3


@benchmark("methods.png")
def main(
    run: RunOnData,
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
) -> Result:
    """Forget the same rows by every method, and hold what each leaves against its time.

    left = 1: nothing forgotten; 0: the exactly retrained model. Prints Markdown and writes a PNG.
    """
    methods = list(method or METHODS)
    for wanted in methods:
        known("--method", wanted, METHODS)
    base = run.base(rank=rank, l2=l2, core=core)
    budget = Budget(seconds, repeats, report=run.report)
    if run.quick:
        budget = replace(budget, seconds=_QUICK_SECONDS, repeats=_QUICK_REPEATS, coarse=True)
    cases = case or (_QUICK_CASES if run.quick else default_names(base))
    found = compare(base, cases, methods, budget, run.seed, run.kept)
    return of_cases(base, "cases", found, markdown, draw)


if __name__ == "__main__":
    execute(main)
