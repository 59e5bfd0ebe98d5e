"""The demo's data: the user's own file, MovieLens-100K, or generated ratings of the same size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ifru.interactions import Dataset
from ifru.interactions.generated import generate
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import load_dataset, split
from ifrud_demo.movielens import Unavailable

USERS, ITEMS, ROWS = 943, 1682, 100_000
"""The size of MovieLens-100K."""

HOLDOUT = 0.2
SEED = 0


@dataclass(frozen=True)
class Data:
    """A data set and its name. remark: why it is not MovieLens-100K, where that was asked for."""

    name: str
    dataset: Dataset
    remark: str = ""


def own(path: Path, rule: LabelRule) -> Data:
    """The user's own file. Raises DataError."""
    return Data(path.name, load_dataset(path, rule, HOLDOUT, SEED))


def generated(rule: LabelRule, remark: str = "") -> Data:
    """Generated ratings, the same on every machine."""
    recorded = generate(USERS, ITEMS, ROWS, SEED)
    return Data("generated ratings of the size of MovieLens-100K", split(recorded, rule, HOLDOUT, SEED), remark)


def movielens_or_generated(rule: LabelRule, movielens: Callable[[], bytes], file: Path) -> Data:
    """MovieLens-100K if it is available, else generated ratings, with a remark that says why.

    movielens: its ratings as CSV, which are put into `file`. Raises DataError.
    """
    try:
        file.write_bytes(movielens())
    except Unavailable as error:
        return generated(rule, f"MovieLens-100K cannot be had: {error}")
    return Data("MovieLens-100K", load_dataset(file, rule, HOLDOUT, SEED))
