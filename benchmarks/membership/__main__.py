"""`python -m benchmarks.membership`: can it be told who was forgotten?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.command import facts, listed, run, started
from benchmarks.kept import Kept
from benchmarks.membership.measure import Measured, measure
from benchmarks.membership.report import draw, markdown
from benchmarks.setups import FOLDER, SETUPS
from ifru.cli.output import print_json, progress
from ifru.errors import IfruError

_QUICK_SHADOWS = 8
_QUICK_TARGETS = 300


def main(
    data: Annotated[str | None, typer.Option(help=f"Which data: {', '.join(SETUPS)}.", show_default="ml-100k")] = None,
    folder: Annotated[Path, typer.Option(help="Where the data files are.", show_default="../shared/data")] = FOLDER,
    targets: Annotated[int, typer.Option(min=2, help="Members that are deleted, and as many non-members.")] = 1000,
    shadows: Annotated[int, typer.Option(min=4, help="Shadow models of each attacker; an even number.")] = 64,
    batch: Annotated[int, typer.Option(min=1, help="Members that are deleted together.")] = 100,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    keep: Annotated[
        Path | None, typer.Option(help="Keep trained base and shadow models here.", show_default="nowhere")
    ] = None,
    plot: Annotated[Path, typer.Option(help="The PNG that is written.")] = Path("membership.png"),
    quick: Annotated[bool, typer.Option("--quick", help="Few shadows and targets: to see that it works.")] = False,
    json: Annotated[bool, typer.Option("--json", help="All figures as JSON in place of the table.")] = False,
) -> None:
    """Likelihood ratio attacks on a model before and after deletion, and on the retrained one.

    A forgotten pair should look like one that was never there. Prints Markdown and writes a PNG.
    """
    if shadows % 2:
        raise IfruError(f"--shadows is {shadows}; take an even number, half of them learn from each target")
    if quick:
        targets, shadows = min(targets, _QUICK_TARGETS), min(shadows, _QUICK_SHADOWS)
    kept = Kept(keep)
    with progress() as report:
        base = started(data, folder, seed, kept, report)
        found = measure(base, targets, shadows, batch, seed, kept, report)
    draw(found, plot, f"{base.name}: who was in the training data?")
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
