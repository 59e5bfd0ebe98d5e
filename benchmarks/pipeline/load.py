"""What is sent to a daemon, and when."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import numpy as np

from benchmarks.cases import drawn, recorded
from ifru.errors import IfruError
from ifru.interactions import Dataset

BURST_SECONDS = 5.0
"""All events of so many seconds come at once in bursts."""


class Shape(StrEnum):
    """What each event erases, and how events are spread over time."""

    INTERACTIONS = "interactions"
    USERS = "users"
    BURSTS = "bursts"


def requests(dataset: Dataset, shape: Shape, count: int, seed: int) -> list[bytes]:
    """So many events, in random order, no two of them alike. Raises IfruError where the data hold fewer."""
    train, random = dataset.train, np.random.default_rng(seed)
    if shape is Shape.USERS:
        users = drawn(np.flatnonzero(train.user_degree), count, random)
        return [_event(place, "erase_user", subject=dataset.users.name(int(user))) for place, user in enumerate(users)]
    rows = drawn(recorded(train), count, random)
    pairs = ([dataset.users.name(train.user[row]), dataset.items.name(train.item[row])] for row in rows)
    return [_event(place, "erase_interactions", interactions=[pair]) for place, pair in enumerate(pairs)]


def written(path: Path) -> list[bytes]:
    """The events of a JSONL file. Raises IfruError where it cannot be read or has none."""
    try:
        events = [line for line in path.read_bytes().splitlines() if line.strip()]
    except OSError as error:
        raise IfruError(f"--events: {str(path)!r} cannot be read ({error.strerror})") from None
    if not events:
        raise IfruError(f"--events: {str(path)!r} holds no events; allowed is one JSON document a line")
    return events


def name(event: bytes) -> str | None:
    """The id by which a receipt names an event; None where it has none."""
    try:
        document = json.loads(event)
    except ValueError:
        return None
    found = document.get("id") if isinstance(document, dict) else None
    return found if isinstance(found, str) else None


def schedule(count: int, rate: float, shape: Shape) -> Sequence[float]:
    """When each event is sent, in seconds after the first; rate: events a second."""
    times = np.arange(count) / rate
    found: list[float] = (times // BURST_SECONDS * BURST_SECONDS if shape is Shape.BURSTS else times).tolist()
    return found


def _event(place: int, kind: str, **content: object) -> bytes:
    return json.dumps({"id": f"sent-{place}", "type": kind, "time": datetime.now(UTC).isoformat(), **content}).encode()
