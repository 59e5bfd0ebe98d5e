"""Updates and retraining of LightGCN, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.cells import duration, multiple, number, share, table
from benchmarks.lightgcn.measure import Forgotten, Measured, Quality

_HEAD = ("", "time", "× the update's", "products", "left, forgotten", "left, held-out", "AUC", "NDCG@10")
_CURVE_HEAD = ("products", "residual influence, at most", "time", "left, forgotten", "left, held-out")


def markdown(found: Sequence[Forgotten]) -> str:
    """For each case all methods with their times, and the updates by number of products with the Hessian."""
    return "\n\n".join(part for case in found for part in _case(case)) + "\n"


def _case(case: Forgotten) -> list[str]:
    title = f"## {case.description[0].upper()}{case.description[1:]}: {case.deleted:,} training rows"
    rows = [
        _model("before the deletion", "1", case.before),
        *(_method(each, case.update) for each in case.methods),
        _model("exactly retrained", "0", case.exact),
    ]
    caption = "Updates by the number of products with the Hessian:"
    return [title, table(_HEAD, rows), caption, table(_CURVE_HEAD, [_point(each) for each in case.curve])]


def _model(name: str, left: str, quality: Quality) -> tuple[str, ...]:
    return name, "", "", "", left, left, number(quality.auc), number(quality.ndcg)


def _method(of: Measured, update: Measured) -> tuple[str, ...]:
    return (
        f"{of.method} ({of.label})",
        duration(of.seconds),
        multiple(of.seconds / update.seconds),
        "" if of.products is None else str(of.products),
        share(of.left.forgotten),
        share(of.left.holdout),
        number(of.left.auc),
        number(of.ndcg),
    )


def _point(of: Measured) -> tuple[str, ...]:
    return str(of.products), of.label, duration(of.seconds), share(of.left.forgotten), share(of.left.holdout)
