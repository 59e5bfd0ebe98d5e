"""How the attacks did, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmarks.figure import panels
from benchmarks.membership.attack import roc
from benchmarks.membership.measure import ATTACKERS, MODELS, Measured

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(found: Sequence[Measured], title: str) -> Figure:
    """A panel for each attacker, a ROC curve for each model, both axes logarithmic.

    Raises IfruError where Matplotlib is not installed.
    """
    whole, (row,) = panels(title, 1, len(found), 6 * len(found), 6.2)
    for panel, attack in zip(row, found, strict=True):
        least = 1 / attack.member.size
        for place, (model, what) in enumerate(MODELS.items()):
            if model in attack.ratios:
                panel.plot(*roc(attack.ratios[model], attack.member), color=f"C{place}", label=what)
        panel.plot([least, 1], [least, 1], "--", color="0.5", label="guessing")
        panel.set(xscale="log", yscale="log", xlim=(least, 1), ylim=(least, 1.1))
        panel.set(
            xlabel="false positive rate", ylabel="true positive rate", title=f"attacker {ATTACKERS[attack.attacker]}"
        )
        panel.legend(loc="lower right")
    return whole
