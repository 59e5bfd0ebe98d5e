"""`python -m benchmarks.membership`: can it be told who was forgotten?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.base import trained
from benchmarks.command import DATA_HELP, Folder, Json, Keep, Plot, Seed, facts, heading, known, listed, run
from benchmarks.kept import Kept
from benchmarks.membership.measure import Measured, measure
from benchmarks.membership.picture import draw
from benchmarks.membership.report import markdown
from benchmarks.setups import FOLDER, SETUPS, default_setup, load
from ifru.cli.output import print_json, progress
from ifru.errors import IfruError

_QUICK_SHADOWS = 8
_QUICK_TARGETS = 300


def main(
    data: Annotated[str | None, typer.Option(help=DATA_HELP, show_default="ml-100k")] = None,
    folder: Folder = FOLDER,
    targets: Annotated[int, typer.Option(min=2, help="Members that are deleted, and as many non-members.")] = 1000,
    shadows: Annotated[int, typer.Option(min=4, help="Shadow models of each attacker; an even number.")] = 64,
    batch: Annotated[int, typer.Option(min=1, help="Members that are deleted together.")] = 100,
    seed: Seed = 0,
    keep: Keep = None,
    plot: Plot = Path("membership.png"),
    quick: Annotated[bool, typer.Option("--quick", help="Few shadows and targets: to see that it works.")] = False,
    json: Json = False,
) -> None:
    """Likelihood ratio attacks on a model before and after deletion, and on the retrained one.

    A forgotten pair should look like one that was never there. Prints Markdown and writes a PNG.
    """
    if shadows % 2:
        raise IfruError(f"--shadows is {shadows}; take an even number, half of them learn from each target")
    if quick:
        targets, shadows = min(targets, _QUICK_TARGETS), min(shadows, _QUICK_SHADOWS)
    name = known("--data", data or default_setup(folder), SETUPS)
    kept = Kept(keep)
    with progress() as report:
        base = trained(name, SETUPS[name], load(SETUPS[name], folder, seed), seed, kept, report)
        found = measure(base, targets, shadows, batch, seed, kept, report)
    draw(found, plot, f"{heading(base)}: who was in the training data?")
    asked = {"members": targets, "non_members": targets, "shadow_models": shadows, "deleted_together": batch}
    if json:
        print_json({"base": facts(base), **asked, "attacks": [_document(attack) for attack in found]})
    else:
        typer.echo(f"# Membership inference\n\n{listed({**facts(base), **asked})}\n\n{markdown(found)}")


def _document(attack: Measured) -> dict[str, object]:
    models = {model: asdict(success) for model, success in attack.successes.items()}
    return {"attacker": attack.attacker, "models": models}


if __name__ == "__main__":
    run(main)
