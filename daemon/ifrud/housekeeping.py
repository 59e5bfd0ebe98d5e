"""What the daemon looks after while no events come: what was erased, and is still stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ifru.snapshots import Manifest
from ifrud.collecting import Collecting
from ifrud.requests.purges import Purges
from ifrud.stored import Stored


@dataclass(frozen=True)
class Housekeeping:
    """stored: how old it is. collecting: removes it. purges: tell who asked for that."""

    stored: Stored
    collecting: Collecting
    purges: Purges

    def look(self, newest: Manifest) -> None:
        """Bring up to date what is known."""
        self.stored.look(newest)
        self.purges.look(newest)

    def collect(self, ended: Callable[[], bool]) -> None:
        """Remove what is old, and look at once at what is gone. Raises what `Collecting.run` raises."""
        self.collecting.run(ended)
        self.stored.hurry()
        self.purges.hurry()
