"""`python -m benchmarks.stream`: requests one at a time, in several orders."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from benchmarks.engines import SUPPORTS, settings
from benchmarks.runner import Result, RunOnData, benchmark, execute, of_cases
from benchmarks.stream.measure import Asked, measure
from benchmarks.stream.picture import draw
from benchmarks.stream.report import markdown
from ifru.engine.settings import EngineSettings

_DEFAULTS = EngineSettings()
_PREFERRED = ("ml-1m-implicit", "ml-100k")
_CASES = ("rows:1000", "users:100")
_QUICK_CASES = ("rows:30", "users:10")


@benchmark("stream.png")
def main(
    run: RunOnData,
    case: Annotated[
        list[str] | None,
        typer.Option(help="rows:N or users:N; may be repeated.", show_default=", ".join(_CASES)),
    ] = None,
    orders: Annotated[int, typer.Option(min=1, help="Random orders of the same requests.")] = 5,
    idle: Annotated[int, typer.Option(min=1, help="Requests between two refinements, where there are any.")] = 10,
    batch: Annotated[int, typer.Option(min=1, help="Requests that are answered together.")] = 1,
    tolerance: Annotated[float, typer.Option(help="Residual influence that a request may leave.")] = (
        _DEFAULTS.tolerance
    ),
    support: Annotated[str, typer.Option(help=f"Which rows move: {', '.join(SUPPORTS)}.")] = _DEFAULTS.support,
) -> Result:
    """Forget requests one at a time, as they come, and see whether what is left, or the memory, grows with them.

    left = 1: nothing forgotten; 0: the exactly retrained model. Prints Markdown and writes a PNG.
    """
    asked = Asked(settings(support, tolerance), orders, idle, run.seed, batch)
    if run.quick:
        asked = replace(asked, orders=min(orders, 2), idle=min(idle, 5))
    base = run.base(_PREFERRED)
    cases = case or (_QUICK_CASES if run.quick else _CASES)
    found = [measure(base, name, asked, run.kept, run.report) for name in cases]
    how = {"support": support, "tolerance": tolerance, "orders": asked.orders, "batch": batch}
    return of_cases(base, "streams", found, markdown, draw, **how)


if __name__ == "__main__":
    execute(main)
