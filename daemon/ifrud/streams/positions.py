"""How far a source has been read, by partition."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ifrud.streams.sources import Event


def advanced(positions: Mapping[int, int], events: Iterable[Event]) -> dict[int, int]:
    """Positions after reading more events."""
    result = dict(positions)
    for event in events:
        result[event.partition] = max(event.next, result.get(event.partition, 0))
    return result


def lag(positions: Mapping[int, int], end: Mapping[int, int]) -> int:
    """The distance from positions to the end of a source, in the source's unit."""
    return sum(max(0, last - positions.get(partition, 0)) for partition, last in end.items())


class Goal:
    """The end that a source had at the start, up to which it is read. Later events are not waited for."""

    def __init__(self, end: Mapping[int, int]) -> None:
        self._end = dict(end)

    def reached(self, positions: Mapping[int, int]) -> bool:
        """Whether everything up to the goal was read."""
        return lag(positions, self._end) == 0

    def lower(self, end: Mapping[int, int]) -> None:
        """Take a later answer into account: where the end has moved down, no event was left before it."""
        self._end = {partition: min(last, end.get(partition, last)) for partition, last in self._end.items()}
