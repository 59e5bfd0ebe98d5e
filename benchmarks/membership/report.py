"""How the attacks did, as Markdown and as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.membership.attack import FALSE_POSITIVES, Figure, roc
from benchmarks.membership.measure import ATTACKERS, MODELS, Measured
from benchmarks.plot import blank
from benchmarks.table import table


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


def draw(found: Sequence[Measured], path: Path, title: str) -> None:
    """Write a PNG: a panel for each attacker, a ROC curve for each model, both axes logarithmic.

    Raises IfruError where Matplotlib is not installed.
    """
    figure = blank(6 * len(found), 6.2, title)
    for panel, attack in zip(figure.subplots(1, len(found), squeeze=False)[0], found, strict=True):
        least = 1 / attack.member.size
        for place, (model, what) in enumerate(MODELS.items()):
            if model in attack.ratios:
                panel.plot(*roc(attack.ratios[model], attack.member), color=f"C{place}", label=what)
        panel.plot([least, 1], [least, 1], "--", color="0.5", label="guessing")
        panel.set(xscale="log", yscale="log", xlim=(least, 1), ylim=(least, 1.1))
        panel.set(
            xlabel="false positive rate", ylabel="true positive rate", title=f"attacker {ATTACKERS[attack.attacker]}"
        )
        panel.grid(visible=True, which="major", alpha=0.3)
        panel.legend(loc="lower right")
    figure.savefig(path, dpi=130)


def _shown(figure: Figure, sign: str = "") -> str:
    return f"{figure.value:{sign}.3f} [{figure.low:{sign}.3f}, {figure.high:{sign}.3f}]"
