"""`python -m benchmarks.size`: the same batch on data of all sizes."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks.command import Json, Keep, Plot, Seed, Threads, listed, machine, run
from benchmarks.engines import SUPPORTS, settings
from benchmarks.kept import Kept
from benchmarks.size.growth import growth, memory
from benchmarks.size.measure import CONFIG, Asked, measure
from benchmarks.size.picture import draw
from benchmarks.size.report import markdown
from benchmarks.warm_up import warm_up
from ifru.cli.output import print_json, progress

_SIZES = (100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)
_QUICK_SIZES = (30_000, 100_000)
_SUPPORTS = tuple(name for name in ("auto", "residual", "push") if name in SUPPORTS)
_TITLE = f"generated ratings: matrix factorisation, rank {CONFIG.rank}, λ {CONFIG.l2:g}"


def main(
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
    threads: Threads = None,
    seed: Seed = 0,
    keep: Keep = None,
    plot: Plot = Path("size.png"),
    quick: Annotated[bool, typer.Option("--quick", help="Two small sizes, few batches: to see that it works.")] = False,
    json: Json = False,
) -> None:
    """Forget the same number of interactions in generated data of all sizes; see what grows with them.

    Users and items grow as they do from MovieLens 100K to 20M. Prints Markdown and writes a PNG.
    """
    supports = support or _SUPPORTS
    for wanted in supports:
        settings(wanted, tolerance)
    asked = Asked(supports, tolerance, batch, batches, patience, seed)
    if quick:
        asked = replace(asked, batches=min(batches, 3))
    if threads is not None:
        torch.set_num_threads(threads)
    sizes = [round(one) for one in size or (_QUICK_SIZES if quick else _SIZES)]
    with progress() as report:
        report("compiling", None)
        warm_up()
        found = measure(sizes, asked, Kept(keep), report)
    draw(found, plot, _TITLE)
    if json:
        many = [asdict(one) for one in growth(found)]
        print_json({**machine(), "sizes": [asdict(one) for one in found], "growth": many, "memory": memory(found)})
    else:
        typer.echo(f"# {_TITLE}\n\n{listed(machine())}\n\n{markdown(found, asked)}")


if __name__ == "__main__":
    run(main)
