"""Ids and rows that do not belong together are noticed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ifru.importing import WrongMapping, check_mapping
from ifru.importing.mapping import Float64, Rows

RANDOM = np.random.default_rng(0)
SHAPE = USERS, ITEMS = 200, 100
TASTES = 4
OF_USER, OF_ITEM = RANDOM.normal(size=(USERS, TASTES)), RANDOM.normal(size=(ITEMS, TASTES))
# A model knows who is popular by its last column.
OF_USER[:, -1], OF_ITEM[:, -1] = 1, RANDOM.gamma(1, size=ITEMS)


def chosen() -> tuple[Rows, Rows]:
    """Pairs that taste and popularity have brought together."""
    odds = np.exp(OF_USER @ OF_ITEM.T)
    user = np.repeat(np.arange(USERS), 10)
    item = np.array([RANDOM.choice(ITEMS, p=odds[one] / odds[one].sum()) for one in user])
    return user, item


def scoring(of_user: Float64, of_item: Float64) -> Callable[[Rows, Rows], Float64]:
    return lambda user, item: (of_user[user] * of_item[item]).sum(1)


def test_a_model_with_its_own_ids_passes() -> None:
    check_mapping(scoring(OF_USER, OF_ITEM), SHAPE, *chosen(), np.random.default_rng(1))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("side", ["user", "item", "both", "shifted"])
def test_ids_in_another_order_are_refused(side: str, seed: int) -> None:
    order, user, item = np.random.default_rng(seed), OF_USER, OF_ITEM
    if side in ("user", "both"):
        user = order.permutation(user)
    if side in ("item", "both"):
        item = order.permutation(item)
    if side == "shifted":
        user = np.roll(user, 1, axis=0)
    with pytest.raises(WrongMapping, match="ids of the"):
        check_mapping(scoring(user, item), SHAPE, *chosen(), np.random.default_rng(seed + 1))


def test_a_model_that_knows_nothing_is_refused() -> None:
    nothing = np.zeros((USERS, TASTES)), np.zeros((ITEMS, TASTES))
    with pytest.raises(WrongMapping):
        check_mapping(scoring(*nothing), SHAPE, *chosen(), np.random.default_rng(1))
