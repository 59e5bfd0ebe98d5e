"""`python -m benchmarks.size`: the same batch on data of all sizes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from benchmarks.engines import SUPPORTS, settings
from benchmarks.facts import machine
from benchmarks.runner import Result, Run, benchmark, execute
from benchmarks.size.growth import growth, memory
from benchmarks.size.measure import CONFIG, Asked, measure
from benchmarks.size.picture import draw
from benchmarks.size.report import markdown

_SIZES = (100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)
_QUICK_SIZES = (30_000, 100_000)
_SUPPORTS = tuple(name for name in ("auto", "residual", "push") if name in SUPPORTS)
_TITLE = f"generated ratings: matrix factorisation, rank {CONFIG.rank}, λ {CONFIG.l2:g}"


@benchmark("size.png")
def main(
    run: Run,
    size: Annotated[
        list[float] | None,
        typer.Option(min=10_000, help="Interactions, as 1e6; may be repeated.", show_default="1e5, 3e5, …, 1e7"),
    ] = None,
    support: Annotated[
        list[str] | None,
        typer.Option(help=f"{', '.join(SUPPORTS)}; may be repeated.", show_default=", ".join(_SUPPORTS)),
    ] = None,
    tolerance: Annotated[float, typer.Option(help="Residual influence that a batch may leave.")] = 0.35,
    batch: Annotated[int, typer.Option(min=1, help="Random interactions in a batch.")] = 100,
    batches: Annotated[int, typer.Option(min=1, help="One after the other; the median counts.")] = 7,
    patience: Annotated[
        float,
        typer.Option(min=0, help="Seconds that training from scratch may take; longer ones are extrapolated."),
    ] = 1200.0,
) -> Result:
    """Forget the same number of interactions in generated data of all sizes; see what grows with them.

    Users and items grow as they do from MovieLens 100K to 20M. Prints Markdown and writes a PNG.
    """
    supports = support or _SUPPORTS
    for wanted in supports:
        settings(wanted, tolerance)
    asked = Asked(supports, tolerance, batch, min(batches, 3) if run.quick else batches, patience, run.seed)
    sizes = [round(one) for one in size or (_QUICK_SIZES if run.quick else _SIZES)]
    run.start(CONFIG)
    found = measure(sizes, asked, run.kept, run.report)
    figures = {
        "sizes": [asdict(one) for one in found],
        "growth": [asdict(one) for one in growth(found)],
        "memory": memory(found),
    }
    return Result(
        title=_TITLE,
        facts=machine(),
        markdown=markdown(found, asked),
        document={**machine(), **figures},
        picture=draw(found, _TITLE),
    )


if __name__ == "__main__":
    execute(main)
