"""What of a stream can no longer be read, and what the operator says to go on without it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

import structlog

from ifrud.streams.sources.protocol import SourceError

if TYPE_CHECKING:
    from ifru.snapshots.sources import Position

log = structlog.stdlib.get_logger("ifrud")

_WORD_DIGITS = 12


@dataclass(frozen=True)
class LostRange:
    """Offsets `first` to `last`, both included, that can no longer be read."""

    partition: int
    first: int
    last: int


@dataclass(frozen=True)
class Loss:
    """Events that are gone, or may be.

    text: the cause, and what is gone. facts: what tells this loss from any other one; JSON values.
    resume: partition -> where reading goes on without them. ranges: what is gone, where that is known.
    """

    text: str
    facts: tuple[object, ...]
    resume: Mapping[int, Position]
    ranges: tuple[LostRange, ...] = ()


class LostEventsError(SourceError):
    """Events are gone that may never have been read, so requests in them would be lost unnoticed.

    word: accepts exactly these losses.
    """

    def __init__(self, losses: Sequence[Loss]) -> None:
        digest = sha256(json.dumps([loss.facts for loss in losses], sort_keys=True).encode())
        # A word of digits alone would be a number in YAML.
        self.word = f"lost-{digest.hexdigest()[:_WORD_DIGITS]}"
        self.ranges = tuple(lost for loss in losses for lost in loss.ranges)
        super().__init__(
            "; ".join(loss.text for loss in losses) + ". Restore them, or have these requests sent again; to go on "
            f"without them, run `ifrud run --accept-lost {self.word}` (or set accept_lost to this word)"
        )


def resumed(losses: Sequence[Loss], accepted: str | None) -> dict[int, Position]:
    """Where to go on instead, partition -> position; nothing where nothing is lost.

    accepted: the word of the losses that the operator accepts. Raises LostEventsError for others.
    """
    if not losses:
        return {}
    error = LostEventsError(losses)
    if error.word != accepted:
        raise error
    for loss in losses:
        log.warning(f"accepted by the word {error.word}: {loss.text}")
    return {partition: position for loss in losses for partition, position in loss.resume.items()}
