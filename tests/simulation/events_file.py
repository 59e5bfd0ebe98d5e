"""The file of events of a world, and what people do to such files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ifrud.streams.sources import Source
from ifrud.streams.sources.jsonl import JsonlSource
from tests.simulation.requests import Sent


class EventsFile:
    """present: the records that can be read now, in order. mishaps: how often it was truncated, replaced or moved."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._folders = 0
        self.mishaps = 0
        self.present: list[Sent] = []
        self.path = self._next_folder()
        self.path.touch()

    @property
    def disturbances(self) -> tuple[Callable[[], None], ...]:
        """What may happen to it."""
        return self.truncate, self.replace, self.move

    def source(self, clock: Callable[[], float], wait: Callable[[float], None], accept_lost: str | None) -> Source:
        """The file as one process reads it."""
        return JsonlSource(self.path, clock=clock, wait=wait, accept_lost=accept_lost)

    def append(self, records: Sequence[Sent]) -> None:
        with self.path.open("ab") as file:
            file.writelines(record.payload + b"\n" for record in records)
        self.present += records

    def truncate(self) -> None:
        """As copytruncate of logrotate does."""
        self.path.write_bytes(b"")
        self._anew()

    def replace(self) -> None:
        """Another file takes its place."""
        other = self.path.with_suffix(".other")
        other.touch()
        other.replace(self.path)
        self._anew()

    def move(self) -> None:
        """From now on the daemon is given a file of the same name in another folder."""
        self.path = self._next_folder()
        self.path.touch()
        self._anew()

    def _anew(self) -> None:
        self.present = []
        self.mishaps += 1

    def _next_folder(self) -> Path:
        folder = self._folder / str(self._folders)
        folder.mkdir()
        self._folders += 1
        return folder / "events.jsonl"
