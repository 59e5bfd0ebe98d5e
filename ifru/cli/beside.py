"""An update beside several retrains, for people."""

from __future__ import annotations

from statistics import fmean

from rich.table import Table

from ifru.cli.output import console, print_facts, readable
from ifru.evaluation.beside import Beside
from ifru.evaluation.membership import FALSE_POSITIVES, Figure

_SETS = {"forget": "forgotten", "neighbours": "neighbouring", "holdout": "held-out"}
_MEASURES = {"loss": "loss", "auc": "AUC", "ndcg10": "NDCG@10"}


def print_beside(found: Beside) -> None:
    """The models side by side, and what it comes to."""
    console().print(side_by_side(found))
    seconds = found.seconds
    refined = f", {readable(seconds.refine)} refinement" if seconds.refine else ""
    print_facts(
        {
            "requests": f"{found.requests:,}, of which {found.unknown:,} name nothing",
            "deleted rows": found.deletions,
            "update": f"{found.method}, {found.products} Hessian products, ended by: {found.reason}",
            "residual influence": f"{readable(found.residual_influence)}; exact {readable(found.settled_influence)}",
            "seconds": f"{readable(seconds.update)} update{refined}, {readable(seconds.retrain)} a retrain",
        }
    )
    console().print(conclusion(found), soft_wrap=True, highlight=False)


def side_by_side(found: Beside) -> Table:
    """The model before and after, and the retrained ones."""
    versions = [found.before, found.after, *found.retrained]
    names = ["before", "after", *(f"retrain {number}" for number in range(1, len(found.retrained) + 1))]
    table = Table("pairs", "", *names, box=None, pad_edge=False)
    for of, pairs in _SETS.items():
        for measure, name in _MEASURES.items():
            table.add_row(pairs, name, *(_number(getattr(getattr(each, of), measure)) for each in versions))
    caught = f"found by the attack at {100 * FALSE_POSITIVES:g} % false positives"
    table.add_row("forgotten", caught, *(_interval(each.attack) for each in versions))
    return table


def conclusion(found: Beside) -> str:
    """What a verification beside retrains comes to."""
    times = found.seconds.retrain / (found.seconds.update + found.seconds.refine)
    before, after = (_number(each.forget.loss) for each in (found.before, found.after))
    losses = [loss for each in found.retrained if (loss := each.forget.loss) is not None]
    place = "within" if found.within else "outside of"
    return (
        "There is no proof for models of this kind, and retraining has no unique outcome: this is a measurement. "
        f"The loss on forgotten pairs is {before} before, {after} after the update and {_number(min(losses))} to "
        f"{_number(max(losses))} in {len(losses)} retrained models; after the update it is {place} their range widened "
        f"by its own width.{_held_out(found)} Retraining takes {times:,.3g} times as long as the update."
    )


def _held_out(found: Beside) -> str:
    aucs = [auc for each in found.retrained if (auc := each.holdout.auc) is not None]
    if found.after.holdout.auc is None or not aucs:
        return ""
    return f" Held-out AUC differs from their mean by {found.after.holdout.auc - fmean(aucs):+.4f}."


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _interval(figure: Figure | None) -> str:
    return "-" if figure is None else f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]"
