"""`python -m benchmarks.residual`: what updates say of themselves, against the truth."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.base import trained
from benchmarks.command import DATA_HELP, Folder, Json, Keep, Plot, Seed, facts, heading, known, listed, run
from benchmarks.engines import SUPPORTS
from benchmarks.kept import Kept
from benchmarks.residual.measure import measure
from benchmarks.residual.picture import draw
from benchmarks.residual.report import markdown, summary
from benchmarks.setups import FOLDER, SETUPS, default_setup, load
from ifru.cli.output import print_json, progress

_QUICK = 6


def main(
    data: Annotated[str | None, typer.Option(help=DATA_HELP, show_default="ml-100k")] = None,
    folder: Folder = FOLDER,
    deletions: Annotated[int, typer.Option(min=1, help="Random deletions.")] = 60,
    answers: Annotated[int, typer.Option(min=1, help="Of each, with random tolerances and supports.")] = 5,
    support: Annotated[
        list[str] | None, typer.Option(help=f"{', '.join(SUPPORTS)}; may be repeated.", show_default="all")
    ] = None,
    seed: Seed = 0,
    keep: Keep = None,
    plot: Plot = Path("residual.png"),
    quick: Annotated[bool, typer.Option("--quick", help=f"{_QUICK} deletions: to see that it works.")] = False,
    json: Json = False,
) -> None:
    """Hold the residual influence and the proven bound of random updates against exact retraining.

    Deletions are random interactions, users, items, or several batches of these. Prints Markdown and writes a PNG.
    """
    for wanted in support or ():
        known("--support", wanted, SUPPORTS)
    name = known("--data", data or default_setup(folder), SETUPS)
    kept = Kept(keep)
    with progress() as report:
        base = trained(name, SETUPS[name], load(SETUPS[name], folder, seed), seed, kept, report)
        number = min(deletions, _QUICK) if quick else deletions
        found = list(measure(base, number, answers, support or SUPPORTS, seed, kept, report))
    draw(found, plot, f"{heading(base)}: figures against the truth")
    together = summary(found)
    if json:
        answered = [asdict(answer) for answer in found]
        print_json({"base": facts(base), "summary": asdict(together), "answers": answered})
    else:
        typer.echo(f"# Residual influence and bound against the truth\n\n{listed(facts(base))}\n")
        typer.echo(markdown(together))


if __name__ == "__main__":
    run(main)
