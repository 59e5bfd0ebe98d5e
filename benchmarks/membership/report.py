"""How the attacks did, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.cells import table
from benchmarks.membership.measure import ATTACKERS, MODELS, Measured
from ifru.evaluation.membership import FALSE_POSITIVES, Figure


def markdown(found: Sequence[Measured]) -> str:
    """A row for each attacker and model; 95 % intervals in brackets."""
    caught = f"found at {100 * FALSE_POSITIVES:g} % false positives"
    head = ("the attacker", "model", "AUC", caught, "AUC above retrained", "found above retrained")
    rows = [
        (
            ATTACKERS[attack.attacker],
            MODELS[model],
            _shown(of.auc),
            _shown(of.caught),
            "" if model == "retrained" else _shown(of.auc_above, sign="+"),
            "" if model == "retrained" else _shown(of.caught_above, sign="+"),
        )
        for attack in found
        for model, of in attack.successes.items()
    ]
    return table(head, rows)


def _shown(figure: Figure, sign: str = "") -> str:
    return f"{figure.value:{sign}.3f} [{figure.low:{sign}.3f}, {figure.high:{sign}.3f}]"
