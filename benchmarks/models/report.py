"""All models and cases as one Markdown table."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.cells import duration, multiple, number, share, table
from benchmarks.models.measure import Compared, Quality

_HEAD = (
    "model",
    "case",
    "left, forgotten / held-out",
    "loss, forgotten: before, after, retrained",
    "AUC: before, after, retrained",
    "NDCG@10: before, after, retrained",
    "update",
    "own retraining",
    "as practised",
)

_CAPTION = (
    "left: 1 where nothing is forgotten, 0 at the exactly retrained model. Where that is not one model, the loss on "
    "forgotten pairs is beside the range of several retrains. Times of retraining, and as multiples of the update's."
)


def markdown(found: Sequence[Compared]) -> str:
    """A row for each model and case."""
    return f"{table(_HEAD, [_row(each) for each in found])}\n\n{_CAPTION}\n"


def _row(of: Compared) -> tuple[str, ...]:
    left = "-" if of.left is None else f"{share(of.left.forgotten)} / {share(of.left.holdout)}"
    return (
        f"{of.model}, rank {of.rank}, λ {of.l2:g}",
        f"{of.description}: {of.deleted:,} rows",
        left,
        _beside(of, lambda quality: quality.forgotten),
        _beside(of, lambda quality: quality.auc),
        _beside(of, lambda quality: quality.ndcg10),
        f"{duration(of.update)}, {of.products} products",
        _times(of.retrain, of),
        "-" if of.practised is None else _times(of.practised, of),
    )


def _beside(of: Compared, figure: Callable[[Quality], float | None]) -> str:
    again = sorted({number(figure(quality)) for quality in of.retrained})
    ends = again if len(again) == 1 else (again[0], again[-1])
    return f"{number(figure(of.before))}, {number(figure(of.after))}, {' to '.join(ends)}"


def _times(seconds: float, of: Compared) -> str:
    return f"{duration(seconds)}, {multiple(seconds / of.update)} ×"
