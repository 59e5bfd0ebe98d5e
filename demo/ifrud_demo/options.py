"""The options of a demo."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ifru.errors import IfruError


@dataclass(frozen=True)
class Options:
    """data: a file to train on; None for MovieLens-100K. generated: for generated ratings instead. label: a rule.

    model: by name. label, loss, rank, l2: None for what suits it. events: to be sent. rate: events a second.
    folder: where everything stays; None for a temporary one.
    Raises IfruError for options that cannot be used.
    """

    data: Path | None
    generated: bool
    label: str | None
    model: str
    loss: str | None
    rank: int | None
    l2: float | None
    events: int
    rate: float
    folder: Path | None

    def __post_init__(self) -> None:
        if self.data is not None and self.generated:
            raise IfruError("--data and --generated name different data; give one of them")
        if self.l2 is not None and not 0 < self.l2 < float("inf"):
            raise IfruError(f"--l2 is {self.l2}; allowed are numbers above 0")
