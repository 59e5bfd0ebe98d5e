"""`python -m benchmarks.reconstruction`: what was deleted between two versions, found from the versions."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.command import facts, listed, run, started
from benchmarks.kept import Kept
from benchmarks.reconstruction.measure import QUICK_SIZES, SIZES, measure
from benchmarks.reconstruction.report import draw, markdown
from benchmarks.setups import FOLDER, SETUPS
from ifru.cli.output import print_json, progress


def main(
    data: Annotated[str | None, typer.Option(help=f"Which data: {', '.join(SETUPS)}.", show_default="ml-100k")] = None,
    folder: Annotated[Path, typer.Option(help="Where the data files are.", show_default="../shared/data")] = FOLDER,
    batch: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Interactions deleted together; may be repeated.", show_default="1 to 1000"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    keep: Annotated[
        Path | None, typer.Option(help="Keep trained base models and retrained ones here.", show_default="nowhere")
    ] = None,
    plot: Annotated[Path, typer.Option(help="The PNG that is written.")] = Path("reconstruction.png"),
    quick: Annotated[bool, typer.Option("--quick", help="Three batch sizes: to see that it works.")] = False,
    json: Annotated[bool, typer.Option("--json", help="All attacks as JSON in place of the tables.")] = False,
) -> None:
    """Attack two consecutive versions: which interactions were deleted between them?

    The attacker has both versions' tables, or the older one and the data that the newer one retains. He names as many
    pairs as were deleted. Prints Markdown and writes a PNG.
    """
    kept = Kept(keep)
    with progress() as report:
        base = started(data, folder, seed, kept, report)
        found = list(measure(base, batch or (QUICK_SIZES if quick else SIZES), seed, kept, report))
    draw(found, plot, f"{base.name}: what two versions betray")
    if json:
        print_json({"base": facts(base), "attacks": [asdict(attack) for attack in found]})
    else:
        typer.echo(f"# What two consecutive versions betray\n\n{listed(facts(base))}\n\n{markdown(found)}")


if __name__ == "__main__":
    run(main)
