"""`python -m benchmarks.membership`: can it be told who was forgotten?"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from benchmarks.facts import facts, heading
from benchmarks.membership.measure import Measured, measure
from benchmarks.membership.picture import draw
from benchmarks.membership.report import markdown
from benchmarks.runner import Result, RunOnData, benchmark, execute
from ifru.errors import IfruError

_QUICK_SHADOWS = 8
_QUICK_TARGETS = 300


@benchmark("membership.png")
def main(
    run: RunOnData,
    targets: Annotated[int, typer.Option(min=2, help="Members that are deleted, and as many non-members.")] = 1000,
    shadows: Annotated[int, typer.Option(min=4, help="Shadow models of each attacker; an even number.")] = 64,
    batch: Annotated[int, typer.Option(min=1, help="Members that are deleted together.")] = 100,
) -> Result:
    """Likelihood ratio attacks on a model before and after deletion, and on the retrained one.

    A forgotten pair should look like one that was never there. Prints Markdown and writes a PNG.
    """
    if shadows % 2:
        raise IfruError(f"--shadows is {shadows}; take an even number, half of them learn from each target")
    if run.quick:
        targets, shadows = min(targets, _QUICK_TARGETS), min(shadows, _QUICK_SHADOWS)
    base = run.base()
    found = measure(base, targets, shadows, batch, run.seed, run.kept, run.report)
    asked = {"members": targets, "non_members": targets, "shadow_models": shadows, "deleted_together": batch}
    return Result(
        title="Membership inference",
        facts={**facts(base), **asked},
        markdown=markdown(found),
        document={"base": facts(base), **asked, "attacks": [_document(attack) for attack in found]},
        picture=draw(found, f"{heading(base)}: who was in the training data?"),
    )


def _document(attack: Measured) -> dict[str, object]:
    models = {model: asdict(success) for model, success in attack.successes.items()}
    return {"attacker": attack.attacker, "models": models}


if __name__ == "__main__":
    execute(main)
