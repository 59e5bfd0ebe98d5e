"""What a demo can be told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ifru.errors import IfruError


@dataclass(frozen=True)
class Options:
    """data: a file to train on; None for MovieLens-100K. generated: for generated ratings instead. label: a label rule.

    events: to be sent. rate: events a second. folder: where everything stays; None for a temporary one.
    Raises IfruError for options that cannot be used.
    """

    data: Path | None = None
    generated: bool = False
    label: str = "rating>=4"
    rank: int = 16
    l2: float = 0.1
    events: int = 200
    rate: float = 20
    folder: Path | None = None

    def __post_init__(self) -> None:
        if self.data is not None and self.generated:
            raise IfruError("--data and --generated name different data; give one of them")
        if not 0 < self.l2 < float("inf"):
            raise IfruError(f"--l2 is {self.l2}; allowed are numbers above 0")
