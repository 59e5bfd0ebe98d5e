"""Answers beside retrained models, as a Markdown table and as a picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from benchmarks.cells import duration, multiple, number, table
from benchmarks.figure import panels
from benchmarks.responses.measure import Held
from ifru.evaluation.beside import Version
from ifru.evaluation.membership import Figure as Measured

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_HEAD = (
    "",
    "rows",
    "loss, forgotten: before, after, retrained",
    "within",
    "AUC, held-out: after, less the mean of the retrained",
    "attack: before, after, retrained",
    "overlap",
    "update",
    "settling",
    "refinement",
    "a retrain",
)

_CAPTION = (
    "within: whether the loss after lies in the range of the retrained models, widened on both sides by its own width. "
    "attack: share of the forgotten rows found at 1 % false positives, with its 95 % interval; overlap: whether the "
    "interval after meets that of every retrained model, and of how many. Times in the median of a batch; of a retrain "
    "also as a multiple of the update's."
)


def markdown(found: Sequence[Held]) -> str:
    """A row for each answer."""
    return f"{table(_HEAD, [_row(each) for each in found])}\n\n{_CAPTION}\n"


def _row(held: Held) -> tuple[str, ...]:
    of, seconds = held.beside, held.beside.seconds
    auc = fmean(each.holdout.auc or 0.0 for each in of.retrained)
    after = of.after.holdout.auc
    return (
        held.name,
        f"{of.deletions:,}",
        f"{number(of.before.forget.loss)}, {number(of.after.forget.loss)}, {_range(of.retrained, _loss)}",
        "yes" if of.within else "no",
        "-" if after is None else f"{number(after)}, {after - auc:+.4f}",
        f"{_attack(of.before)}, {_attack(of.after)}, {_range(of.retrained, _caught)}",
        f"{sum(_meets(of.after.attack, each.attack) for each in of.retrained)} of {len(of.retrained)}",
        f"{duration(seconds.update)}, {of.products} products",
        duration(seconds.settle),
        duration(seconds.refine) if seconds.refine else "-",
        f"{duration(seconds.retrain)}, {multiple(seconds.retrain / seconds.update)} ×",
    )


def _loss(of: Version) -> float | None:
    return of.forget.loss


def _caught(of: Version) -> float | None:
    return None if of.attack is None else of.attack.value


def _range(retrained: Sequence[Version], figure: Callable[[Version], float | None]) -> str:
    known = [value for each in retrained if (value := figure(each)) is not None]
    return f"{number(min(known))} to {number(max(known))}" if known else "-"


def _attack(of: Version) -> str:
    return "-" if of.attack is None else f"{of.attack.value:.4f} [{of.attack.low:.4f}, {of.attack.high:.4f}]"


def _meets(one: Measured | None, other: Measured | None) -> bool:
    return one is not None and other is not None and one.low <= other.high and other.low <= one.high


def draw(found: Sequence[Held], title: str) -> Figure:
    """Losses on forgotten pairs. Raises IfruError where Matplotlib is not installed."""
    whole, ((panel,),) = panels(title, 1, 1, 2.0 + 2.0 * len(found), 4.5)
    for place, held in enumerate(found):
        ways = {"before": [held.beside.before], "after": [held.beside.after], "retrained": held.beside.retrained}
        for color, (way, versions) in zip(("C7", "C3", "C0"), ways.items(), strict=True):
            losses = [each.forget.loss for each in versions]
            panel.plot([place] * len(losses), losses, "o", color=color, label=way if place == 0 else None)
    panel.set_xticks(range(len(found)), [held.name for held in found])
    panel.set(ylabel="loss on forgotten pairs")
    panel.legend()
    return whole
