"""`python -m benchmarks.reconstruction`: what was deleted between two versions, found from the versions."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.base import trained
from benchmarks.command import DATA_HELP, Folder, Json, Keep, Plot, Seed, facts, heading, known, listed, run
from benchmarks.kept import Kept
from benchmarks.reconstruction.measure import QUICK_SIZES, SIZES, measure
from benchmarks.reconstruction.picture import draw
from benchmarks.reconstruction.report import markdown
from benchmarks.setups import FOLDER, SETUPS, default_setup, load
from ifru.cli.output import print_json, progress


def main(
    data: Annotated[str | None, typer.Option(help=DATA_HELP, show_default="ml-100k")] = None,
    folder: Folder = FOLDER,
    batch: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Interactions deleted together; may be repeated.", show_default="1 to 1000"),
    ] = None,
    seed: Seed = 0,
    keep: Keep = None,
    plot: Plot = Path("reconstruction.png"),
    quick: Annotated[bool, typer.Option("--quick", help="Three batch sizes: to see that it works.")] = False,
    json: Json = False,
) -> None:
    """Attack two consecutive versions: which interactions were deleted between them?

    The attacker has both versions' tables, or the older one and the data that the newer one retains. He names as many
    pairs as were deleted. Prints Markdown and writes a PNG.
    """
    name = known("--data", data or default_setup(folder), SETUPS)
    kept = Kept(keep)
    with progress() as report:
        base = trained(name, SETUPS[name], load(SETUPS[name], folder, seed), seed, kept, report)
        found = list(measure(base, batch or (QUICK_SIZES if quick else SIZES), seed, kept, report))
    draw(found, plot, f"{heading(base)}: what two versions betray")
    if json:
        print_json({"base": facts(base), "attacks": [asdict(attack) for attack in found]})
    else:
        typer.echo(f"# What two consecutive versions betray\n\n{listed(facts(base))}\n\n{markdown(found)}")


if __name__ == "__main__":
    run(main)
