"""`python -m benchmarks.residual`: what updates say of themselves, against the truth."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from benchmarks.engines import SUPPORTS
from benchmarks.facts import facts, heading
from benchmarks.residual.measure import measure
from benchmarks.residual.picture import draw
from benchmarks.residual.report import markdown, summary
from benchmarks.runner import Result, RunOnData, benchmark, execute, known

_QUICK = 6


@benchmark("residual.png")
def main(
    run: RunOnData,
    deletions: Annotated[int, typer.Option(min=1, help="Random deletions.")] = 60,
    answers: Annotated[int, typer.Option(min=1, help="Of each, with random tolerances and supports.")] = 5,
    support: Annotated[
        list[str] | None, typer.Option(help=f"{', '.join(SUPPORTS)}; may be repeated.", show_default="all")
    ] = None,
) -> Result:
    """Hold the residual influence and the proven bound of random updates against exact retraining.

    Deletions are random interactions, users, items, or several batches of these. Prints Markdown and writes a PNG.
    """
    for wanted in support or ():
        known("--support", wanted, SUPPORTS)
    base = run.base()
    number = min(deletions, _QUICK) if run.quick else deletions
    found = list(measure(base, number, answers, support or SUPPORTS, run.seed, run.kept, run.report))
    together = summary(found)
    answered = [asdict(answer) for answer in found]
    return Result(
        title="Residual influence and bound against the truth",
        facts=facts(base),
        markdown=markdown(together),
        document={"base": facts(base), "summary": asdict(together), "answers": answered},
        picture=draw(found, f"{heading(base)}: figures against the truth"),
    )


if __name__ == "__main__":
    execute(main)
