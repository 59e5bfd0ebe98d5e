"""`python -m benchmarks.models`: every kind of model, side by side."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Annotated

import typer

from benchmarks.facts import machine
from benchmarks.methods.protocol import Budget
from benchmarks.models.families import FAMILIES, setup_of
from benchmarks.models.measure import measure
from benchmarks.models.picture import draw
from benchmarks.models.report import markdown
from benchmarks.runner import Result, RunOnData, benchmark, execute, known
from benchmarks.setups import SETUPS

_CASES = ("rows:100", "users:10")
_QUICK_SECONDS = 5.0


@benchmark("models.png")
def main(
    run: RunOnData,
    model: Annotated[
        list[str] | None, typer.Option(help=f"{', '.join(FAMILIES)}; may be repeated.", show_default="all")
    ] = None,
    case: Annotated[
        list[str] | None,
        typer.Option(
            help="rows:N, users:N, items:N, active:N or month; may be repeated.", show_default="; ".join(_CASES)
        ),
    ] = None,
    rank: Annotated[int | None, typer.Option(min=1, show_default="the data set's own")] = None,
    seconds: Annotated[float, typer.Option(min=0, help="After so many seconds retraining as practised ends.")] = 300.0,
    repeats: Annotated[int, typer.Option(min=1, help="Of short work; the median counts.")] = 7,
) -> Result:
    """Forget by an update and by retraining, with every kind of model: one table of what is left, quality and times.

    Prints Markdown and writes a PNG.
    """
    budget = Budget(seconds, repeats, report=run.report)
    if run.quick:
        budget = replace(budget, seconds=_QUICK_SECONDS, repeats=1, coarse=True)
    found, about = [], dict[str, object]()
    for name in model or FAMILIES:
        family = FAMILIES[known("--model", name, FAMILIES)]
        base = run.base(setups={data: setup_of(family, data, setup) for data, setup in SETUPS.items()}, rank=rank)
        about = {"data": base.name, "training_rows": base.train.retained} | about
        about[f"relative_gap_{name}"] = base.relative_gap
        found += [measure(base, family, each, budget, run.seed, run.kept) for each in case or _CASES]
    title, about = f"{about['data']}: every kind of model", about | machine()
    document = {"base": about, "models": [asdict(each) for each in found]}
    return Result(title, about, markdown(found), document, draw(found, title))


if __name__ == "__main__":
    execute(main)
