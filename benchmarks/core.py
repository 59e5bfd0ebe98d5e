"""The k-core of a data set: every user and every item that is left has at least k rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ifru.errors import DataError
from ifru.interactions.loading import Recorded


def core(recorded: Recorded, least: int) -> Recorded:
    """The rows of the k-core, in their order, with users and items numbered anew.

    Raises DataError where there are none.
    """
    keep = np.ones(len(recorded.user), dtype=bool)
    while True:
        if not keep.any():
            raise DataError(f"nothing is left of the data in its {least}-core; take a smaller core")
        user, item = (np.bincount(side[keep], minlength=side.max() + 1) for side in (recorded.user, recorded.item))
        smaller = keep & (user[recorded.user] >= least) & (item[recorded.item] >= least)
        if smaller.sum() == keep.sum():
            break
        keep = smaller
    users, items = (_renumbered(side[keep]) for side in (recorded.user, recorded.item))
    return replace(
        recorded,
        user=users[1],
        item=items[1],
        value=None if recorded.value is None else recorded.value[keep],
        time=None if recorded.time is None else recorded.time[keep],
        users=[recorded.users[row] for row in users[0]],
        items=[recorded.items[row] for row in items[0]],
    )


def _renumbered(side: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The rows that occur, ascending, and every entry's place among them."""
    rows, place = np.unique(side, return_inverse=True)
    return rows, place.astype(np.int32)
