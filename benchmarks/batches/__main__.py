"""`python -m benchmarks.batches`: one combined batch against single requests."""

from __future__ import annotations

from typing import Annotated

import typer

from benchmarks.batches.measure import Asked, measure
from benchmarks.batches.picture import draw
from benchmarks.batches.report import markdown
from benchmarks.engines import SUPPORTS, settings
from benchmarks.runner import Result, RunOnData, benchmark, execute, of_cases
from ifru.engine.settings import EngineSettings

_DEFAULTS = EngineSettings()
_TOLERANCES = (_DEFAULTS.tolerance, 0.35)
_CASES = ("rows:1000", "users:100")
_QUICK_CASES = ("rows:30", "users:10")


@benchmark("batches.png")
def main(
    run: RunOnData,
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
) -> Result:
    """Forget m requests in one combined batch, and m times one; hold time and what is left against each other.

    left = 1: nothing forgotten; 0: the exactly retrained model. Prints Markdown and writes a PNG.
    """
    asked = Asked(support, tolerance or _TOLERANCES, 1 if run.quick else repeats, run.seed)
    for wanted in asked.tolerances:
        settings(support, wanted)
    base = run.base()
    cases = case or (_QUICK_CASES if run.quick else _CASES)
    found = [measure(base, at, asked, run.kept, run.report) for at in cases]
    return of_cases(base, "batches", found, markdown, draw, support=support)


if __name__ == "__main__":
    execute(main)
