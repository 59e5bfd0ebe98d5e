"""Which entity a row of an imported table belongs to: its file stores none, so they come beside it, in row order.

Axes: N recorded rows, U users, I items.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ifru.errors import DataError
from ifru.interactions.loading import Recorded


def read_ids(path: Path, rows: int) -> list[str]:
    """One id a line, UTF-8, in the order of a table of some rows. Raises DataError."""
    try:
        ids = path.read_text("utf-8").splitlines()
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as text in UTF-8") from error
    if len(ids) != rows:
        raise DataError(f"{path}: has {len(ids):,} lines, the table has {rows:,} rows; allowed is one id for each row")
    lines: dict[str, int] = {}
    for number, name in enumerate(ids, 1):
        if not name:
            raise DataError(f"{path}: line {number} is empty; allowed is one id a line")
        if lines.setdefault(name, number) != number:
            raise DataError(f"{path}: lines {lines[name]} and {number} hold the same id; an id belongs to one row")
    return ids


def renumbered(recorded: Recorded, users: list[str], items: list[str], path: Path) -> Recorded:
    """Recorded rows of a file with the row numbers of given ids. Raises DataError for an id that is not among them."""
    user = _places(recorded.users, users, "user", path)[recorded.user]
    item = _places(recorded.items, items, "item", path)[recorded.item]
    return replace(recorded, user=user, item=item, users=users, items=items)


def _places(names: list[str], ids: list[str], side: str, path: Path) -> NDArray[np.int32]:
    place = {name: row for row, name in enumerate(ids)}
    if unknown := sum(name not in place for name in names):
        raise DataError(
            f"{path}: {unknown:,} of {len(names):,} {side} ids are not among the {len(ids):,} that the model has rows "
            "for; give the data that the model was trained on, and its ids in the order of its rows"
        )
    return np.array([place[name] for name in names], dtype=np.int32)
