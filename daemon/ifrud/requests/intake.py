"""Decodes a batch of events: into requests, and dead letters for events that are none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ifru.errors import IfruError, RequestError
from ifru.requests import Request
from ifrud.requests.changes import Changes
from ifrud.requests.dead_letters import DeadLetter, Letters
from ifrud.requests.envelope import decode
from ifrud.streams.sources import Event


class TooManyBadEvents(IfruError):
    """So many events in a row were no requests that something else must be wrong, such as the topic."""

    def __init__(self, count: int, source: str, last: RequestError) -> None:
        super().__init__(
            f"{count} events in a row from {source!r} were no requests, the last because {last}; nothing of this batch "
            "was published. Is it the right stream? If so, raise max_consecutive_bad to let them pass as dead letters"
        )


@dataclass(frozen=True)
class Arrival:
    """A request and the event that carried it."""

    request: Request
    event: Event


@dataclass(frozen=True)
class Intake:
    """Requests and dead letters of one batch, each in the order of its events.

    ignored: how many events ask for nothing, such as a row that was inserted into somebody's table.
    """

    arrivals: Sequence[Arrival]
    letters: Sequence[DeadLetter]
    ignored: int = 0


@dataclass
class Decoder:
    """Decodes events. Counts bad ones in a row, over batches.

    letters: writes those of its source. changes: reads what other systems write there. max_bytes: of an event.
    max_bad: bad events in a row that are an error.
    """

    letters: Letters
    changes: Changes
    max_bytes: int
    max_bad: int
    _bad: int = field(default=0, init=False)

    def decode(self, events: Sequence[Event]) -> Intake:
        """Requests, and dead letters for events that are none. Raises TooManyBadEvents."""
        arrivals: list[Arrival] = []
        letters: list[DeadLetter] = []
        ignored = 0
        for event in events:
            try:
                change = self.changes.read(event, self.max_bytes)
                request = decode(event, self.max_bytes) if change is None else change.request
            except RequestError as error:
                self._bad += 1
                if self._bad >= self.max_bad:
                    raise TooManyBadEvents(self._bad, self.letters.source, error) from None
                letters.append(self.letters.of(event, error))
            else:
                self._bad = 0
                if request is None:
                    ignored += 1
                else:
                    arrivals.append(Arrival(request, event))
        return Intake(arrivals, letters, ignored)
