"""Takes candidates that others have left in the store: brings them up to date, and goes on from them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

import structlog

from ifru.errors import IfruError
from ifru.snapshots import Manifest, Store, StoreError, candidates
from ifrud.model import UnfitCandidate
from ifrud.observe.metrics import Stopwatch
from ifrud.patience import Patience
from ifrud.pipeline import Pipeline

INTERVAL = 10.0
"""Seconds between two looks for candidates."""

T = TypeVar("T")

log = structlog.stdlib.get_logger("ifrud")


class Adoption:
    """store: whose reads outlast failures. quick: the same store, which fails at once. utc: the time of day.

    patience: asked whether to outlast a write that failed. now: seconds, never going back.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        store: Store,
        quick: Store,
        patience: Patience,
        now: Callable[[], float],
        utc: Callable[[], datetime],
    ) -> None:
        self._pipeline = pipeline
        self._store = store
        self._quick = quick
        self._patience = patience
        self._now = now
        self._utc = utc
        self._due = now()

    def finish(self) -> None:
        """Remove the candidate that the newest version was made from. Raises StoreError."""
        name = self._pipeline.model.manifest.candidate
        if name is not None:
            self._outlasting(lambda: candidates.forget(self._store, name))

    def look(self, watch: Callable[[], Stopwatch]) -> bool:
        """Adopt the oldest candidate, or refuse it, if it is time to look for one; whether there was one.

        Raises what a commit raises, and StoreError where a candidate cannot be removed.
        """
        if self._now() < self._due:
            return False
        self._due = self._now() + INTERVAL
        try:
            names = candidates.waiting(self._quick)
        except StoreError:
            return False
        found = [descriptor for name in names if (descriptor := self._described(name)) is not None]
        if found:
            self._adopt(min(found, key=lambda descriptor: (descriptor.time, descriptor.attempt)), watch())
            # There may be another one.
            self._due = self._now()
        return len(found) > 0

    def _adopt(self, found: Manifest, watch: Stopwatch) -> None:
        name, version = found.attempt, self._or_reject(found.attempt, lambda: candidates.read(self._store, found))
        if version is None:
            return
        try:
            self._pipeline.adopt(version, watch)
        except UnfitCandidate as error:
            self._reject(name, error)
            return
        self.finish()
        number = self._pipeline.model.manifest.version
        log.info(f"adopted the candidate {name} as version {number}", candidate=name, cut=found.parent)

    def _described(self, name: str) -> Manifest | None:
        """The descriptor of a candidate; None where it has no sound one, or was refused before."""
        if candidates.was_rejected(self._store, name):
            self._outlasting(lambda: candidates.discard(self._store, name))
            return None
        return self._or_reject(name, lambda: candidates.describe(self._store, name))

    def _or_reject(self, name: str, reading: Callable[[], T | None]) -> T | None:
        try:
            return reading()
        except StoreError:
            raise
        except IfruError as error:
            self._reject(name, error)
            return None

    def _reject(self, name: str, error: IfruError) -> None:
        self._pipeline.reporter.refused(name, str(error))
        self._outlasting(lambda: candidates.reject(self._store, name, str(error), self._utc()))

    def _outlasting(self, work: Callable[[], None]) -> None:
        while True:
            try:
                work()
                return
            except StoreError as error:
                if not self._patience(error):
                    raise
