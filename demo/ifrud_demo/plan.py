"""The events that the demo sends."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from ifru.errors import IfruError
from ifru.interactions import Dataset
from ifru.requests import Request, parse_request

_WHOLE_USERS = 0.05
"""Share of the requests that ask for a whole user."""

_MOST_USERS = 0.05
_MOST_ROWS = 0.1
"""Shares of the users, and of the rows, that are forgotten at most, so that there is a model left."""

_FEWEST_ROWS = 20

_NO_REQUEST: dict[str, object] = {"type": "erase_user"}
"""It lacks its subject."""


@dataclass(frozen=True)
class Plan:
    """events: by their ids, in the order in which they are sent; all but one of them are requests."""

    events: Mapping[str, bytes]
    requests: Sequence[Request]


def plan(dataset: Dataset, count: int, seed: int, time: datetime) -> Plan:
    """A mixture: single interactions, whole users, an unknown user, and an event that is no request.

    count: events at most, fewer where the data set is small. The same seed gives the same events.
    Raises IfruError where the data set is too small to forget anything of it.
    """
    train = dataset.train
    if train.retained < _FEWEST_ROWS:
        raise IfruError(f"{train.retained} rows to train on are too few for a demo; at least {_FEWEST_ROWS} are needed")
    random = np.random.default_rng(seed)
    known = np.flatnonzero(train.user_degree)
    users = random.choice(known, min(round(_WHOLE_USERS * count), int(_MOST_USERS * len(known))), replace=False)
    rows = np.flatnonzero(train.alive & (train.origin == np.arange(len(train))) & ~np.isin(train.user, users))
    pairs = random.choice(rows, min(count - len(users) - 2, int(_MOST_ROWS * len(rows))), replace=False)
    asked: list[dict[str, object]] = [
        {"type": "erase_interactions", "interactions": [_names(dataset, row)]} for row in pairs
    ]
    for user in users:
        asked.insert(int(random.integers(len(asked) + 1)), {"type": "erase_user", "subject": dataset.users.name(user)})
    asked.insert(len(asked) // 3, {"type": "erase_user", "subject": _unknown(dataset)})
    asked.insert(2 * len(asked) // 3, _NO_REQUEST)
    events = {
        f"demo-{number}": json.dumps({"id": f"demo-{number}", **content, "time": time.isoformat()}).encode()
        for number, content in enumerate(asked, start=1)
    }
    good = zip(events.values(), asked, strict=True)
    return Plan(events, [parse_request(event) for event, content in good if content is not _NO_REQUEST])


def _names(dataset: Dataset, row: int) -> tuple[str | None, str | None]:
    return dataset.users.name(int(dataset.train.user[row])), dataset.items.name(int(dataset.train.item[row]))


def _unknown(dataset: Dataset) -> str:
    name = "nobody"
    while dataset.users.row(name) is not None:
        name += "-"
    return name
