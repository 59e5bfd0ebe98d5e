"""Which versions stay."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class Retention:
    """The newest version stays, the `keep` newest, those that were the newest less than `older_than` ago, and all that
    these stand on."""

    older_than: timedelta
    keep: int = 1


def duration(text: str) -> timedelta:
    """`30d`, `12h`, `5m` or `0s`. Raises ValueError for anything else."""
    if not re.fullmatch(r"\d{1,5}[mhd]|\d{1,9}s", text):
        raise ValueError(f"{text!r} is no duration; allowed are 30d, 12h, 5m, 0s and the like")
    return timedelta(seconds=int(text[:-1]) * _SECONDS[text[-1]])
