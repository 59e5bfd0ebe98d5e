"""`python -m benchmarks.reconstruction`: what was deleted between two versions, found from the versions."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from benchmarks.facts import facts, heading
from benchmarks.reconstruction.measure import QUICK_SIZES, SIZES, measure
from benchmarks.reconstruction.picture import draw
from benchmarks.reconstruction.report import markdown
from benchmarks.runner import Result, RunOnData, benchmark, execute


@benchmark("reconstruction.png")
def main(
    run: RunOnData,
    batch: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Interactions deleted together; may be repeated.", show_default="1 to 1000"),
    ] = None,
) -> Result:
    """Attack two consecutive versions: which interactions were deleted between them?

    The attacker has both versions' tables, or the older one and the data that the newer one retains. He names as many
    pairs as were deleted. Prints Markdown and writes a PNG.
    """
    base = run.base()
    found = list(measure(base, batch or (QUICK_SIZES if run.quick else SIZES), run.seed, run.kept, run.report))
    return Result(
        title="What two consecutive versions betray",
        facts=facts(base),
        markdown=markdown(found),
        document={"base": facts(base), "attacks": [asdict(attack) for attack in found]},
        picture=draw(found, f"{heading(base)}: what two versions betray"),
    )


if __name__ == "__main__":
    execute(main)
