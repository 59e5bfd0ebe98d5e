"""Requests one at a time: what a daemon is asked to forget."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.base import Base
from benchmarks.cases import NOTHING, drawn, parsed, recorded
from ifru.errors import IfruError
from ifru.interactions import Deletion


def requests(name: str, base: Base, seed: int) -> list[Deletion]:
    """The requests of a case of interactions or of whole users, such as 'rows:1000', in random order.

    Raises IfruError for a case of another kind, or for more than the data hold.
    """
    kind, count = parsed(name)
    random, train = np.random.default_rng(seed), base.train
    if kind == "rows":
        rows = drawn(recorded(train), count, random)
        return [Deletion(train.with_companions(np.array([row])), NOTHING) for row in rows]
    if kind == "users":
        users = drawn(np.flatnonzero(train.user_degree), count, random)
        return [base.dataset.of_user(int(user)) for user in users]
    raise IfruError(f"case {name!r} is no series of requests; allowed are rows:N and users:N")


def counts(whole: int, steps: Sequence[int]) -> list[int]:
    """The steps that are smaller than a whole, and the whole."""
    return [*(step for step in steps if step < whole), whole]
