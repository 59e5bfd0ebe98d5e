"""Old versions are collected while nothing else is to be done."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from ifru.models import UnknownModel
from ifru.snapshots import CorruptFile, HistoryReplaced, NoVersion, Retention, Store, StoreError, collect
from ifrud.observe.report import Reporter

INTERVAL = 3600.0
"""Seconds between two collections."""

AGAIN = 60.0
"""Seconds until the next one after one that failed."""


class _Ended(Exception):
    """Something else is to be done."""


class Collecting:
    """retention: None where nothing is collected. store: one that fails at once. now: seconds, never going back."""

    def __init__(
        self,
        store: Store,
        retention: Retention | None,
        now: Callable[[], float],
        utc: Callable[[], datetime],
        reporter: Reporter,
    ) -> None:
        self._store, self._retention, self._now, self._utc = store, retention, now, utc
        self._reporter = reporter
        self._due = now()

    @property
    def due(self) -> bool:
        return self._retention is not None and self._now() >= self._due

    def run(self, ended: Callable[[], bool]) -> None:
        """Collect until it is done, or ended(): the next time goes on. Raises HistoryReplaced, and what it raises."""
        if self._retention is None:
            return

        def pause() -> None:
            if ended():
                raise _Ended

        try:
            found = collect(self._store, self._retention, self._utc, pause)
        except _Ended:
            return
        except HistoryReplaced:
            raise
        except (StoreError, NoVersion, CorruptFile, UnknownModel) as error:
            self._due = self._now() + AGAIN
            self._reporter.collection_failed(error)
            return
        self._due = self._now() + INTERVAL
        if found.versions or found.files:
            self._reporter.collected(found)
