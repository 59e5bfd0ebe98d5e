"""Everything that a stream holds now."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from ifrud.settings import KafkaSettings
from ifrud.streams.positions import Goal, advanced
from ifrud.streams.sources import Event, LostEventsError, open_source

_LIMIT = 1000
_SECONDS = 1.0


def contents(url: str, kafka: KafkaSettings | None = None) -> Iterator[Event]:
    """The events of a stream from the oldest that it still has to its present end, in order within a partition.

    Raises EndpointError or SourceError.
    """
    with closing(open_source(url, kafka)) as source:
        positions: dict[int, int] = {}
        try:
            goal = Goal(source.end())
        except LostEventsError as error:
            from ifru.snapshots.sources import Source as Recorded

            # Retention has removed the oldest ones, which a daemon must not pass over.
            positions = {lost.partition: lost.last + 1 for lost in error.ranges}
            source.seek(Recorded.model_validate({"partitions": positions}))
            goal = Goal(source.end())
        while not goal.reached(positions):
            events = source.poll(_LIMIT, _SECONDS)
            yield from events
            positions = advanced(positions, events)
            if not events:
                # What follows the last event may be no event, which the source only knows once it has read it.
                goal.lower(source.end())
