"""`python -m benchmarks.lightgcn`: updates of LightGCN beside retraining."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated

import typer

from benchmarks.lightgcn.measure import measure
from benchmarks.lightgcn.picture import draw
from benchmarks.lightgcn.report import markdown
from benchmarks.methods import Budget
from benchmarks.runner import Result, RunOnData, benchmark, execute, of_cases
from benchmarks.setups import SETUPS
from ifru.models.lightgcn import LightGCNConfig

_CASES = ("rows:100", "users:10")
_L2 = {"ml-1m-implicit": 0.02}
"""By validation, in place of 0.05."""
_QUICK_SECONDS = 5.0


@benchmark("lightgcn.png")
def main(
    run: RunOnData,
    case: Annotated[
        list[str] | None,
        typer.Option(
            help="rows:N, users:N, items:N, active:N or month; may be repeated.", show_default="; ".join(_CASES)
        ),
    ] = None,
    layers: Annotated[int, typer.Option(min=1, max=4, help="Hops that rows are passed along the graph.")] = 2,
    rank: Annotated[int | None, typer.Option(min=1, show_default="the data set's own")] = None,
    l2: Annotated[float | None, typer.Option(help="λ.", show_default="the data set's own")] = None,
    seconds: Annotated[float, typer.Option(min=0, help="After so many seconds retraining as practised ends.")] = 300.0,
    repeats: Annotated[int, typer.Option(min=1, help="Of short work; the median counts.")] = 7,
) -> Result:
    """Forget by updates, by direct influence alone and by retraining; what is left, how well models rank, and how long.

    left = 1: nothing forgotten; 0: the exactly retrained model. Prints Markdown and writes a PNG.
    """
    model = partial(LightGCNConfig, layers=layers)
    setups = {name: replace(setup, model=model, l2=_L2.get(name, 0.05)) for name, setup in SETUPS.items()}
    base = run.base(setups=setups, rank=rank, l2=l2)
    budget = Budget(seconds, repeats, report=run.report)
    if run.quick:
        budget = replace(budget, seconds=_QUICK_SECONDS, repeats=1, coarse=True)
    found = [measure(base, name, budget, run.seed, run.kept) for name in case or _CASES]
    return of_cases(base, "cases", found, markdown, draw)


if __name__ == "__main__":
    execute(main)
