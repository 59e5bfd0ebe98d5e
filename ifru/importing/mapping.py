"""Whether the rows of an imported model are those of the entities that they are said to be.

A model scores the pairs that it was trained on higher than the same pairs with its rows shuffled. Where it does not,
ids and rows do not belong together, and every deletion would go to somebody else.

Axes: U users, I items, n recorded pairs.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ifru.errors import DataError

Float64 = NDArray[np.float64]
Rows = NDArray[np.integer]

_PAIRS = 100_000
"""Recorded pairs that are looked at, at most."""

_SHUFFLES = 20
"""Of each side."""

_DEVIATIONS = 4.0
"""How far above the mean of shuffled rows the given ones are at least, in standard deviations of theirs."""


class WrongMapping(DataError):
    """Ids and rows that do not belong together. side: `user` or `item`."""

    def __init__(self, side: str, recorded: float, shuffled: float) -> None:
        self.side = side
        super().__init__(
            f"the model scores the recorded pairs {recorded:.4g} on average, and {shuffled:.4g} with the rows of its "
            f"{side}s shuffled: the ids of the {side}s are not those of its rows; give them in the order of the rows, "
            "and the data that the model was trained on"
        )


def check_mapping(
    scores: Callable[[Rows, Rows], Float64], shape: tuple[int, int], user: Rows, item: Rows, random: np.random.Generator
) -> None:
    """Raises WrongMapping where recorded pairs score no higher than with the rows of one side shuffled.

    scores(user, item): of pairs given by row numbers [n]. shape: U, I. user, item [n]: recorded pairs that the model
    should like.
    """
    if len(user) > _PAIRS:
        chosen = random.choice(len(user), _PAIRS, replace=False)
        user, item = user[chosen], item[chosen]
    recorded = float(scores(user, item).mean())
    of_users = [scores(random.permutation(shape[0])[user], item).mean() for _ in range(_SHUFFLES)]
    of_items = [scores(user, random.permutation(shape[1])[item]).mean() for _ in range(_SHUFFLES)]
    for side, shuffled in (("user", np.array(of_users)), ("item", np.array(of_items))):
        mean, deviation = float(shuffled.mean()), float(shuffled.std(ddof=1))
        if recorded <= mean + _DEVIATIONS * deviation:
            raise WrongMapping(side, recorded, mean)
