"""Where a world's receipts and dead letters arrive."""

from __future__ import annotations

from collections.abc import Sequence

from ifrud.streams.outboxes import OutboxError, Record
from tests.simulation.bucket import Access
from tests.simulation.chance import Chance


class Arrivals:
    """Implements `Outbox` for one process. arrived: the values of all records, over all processes.

    failing: share of calls that fail, after some of their records have arrived. process: dies in some of them.
    """

    def __init__(
        self, name: str, arrived: list[bytes], failing: float, crash: float, chance: Chance, process: Access
    ) -> None:
        self._name, self._arrived, self._failing, self._crash = name, arrived, failing, crash
        self._chance, self._process = chance, process

    def send(self, records: Sequence[Record]) -> None:
        if self._process.dead:
            self._process.die()
        fails = self._chance.of(self._name, "fails") < self._failing
        dies = self._chance.of(self._name, "dies") < self._crash
        count = int(self._chance.of(self._name, "count") * (len(records) + 1)) if fails or dies else len(records)
        self._arrived += [record.value for record in records[:count]]
        if dies:
            self._process.die()
        if fails:
            raise OutboxError(f"{self._name}: fails on purpose after {count} of {len(records)} records")

    def close(self) -> None:
        """Nothing to give back."""
