"""Sends events at a steady rate, and waits for the daemon."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping

from ifrud.streams.outboxes import Outbox, Record
from ifrud_demo.process import DemoError
from ifrud_demo.watch import Watch

REFRESH_SECONDS = 0.25

PATIENCE = 60.0
"""Seconds for which the daemon may show no progress."""

IDLE_PATIENCE = 15.0
"""Seconds that each refinement or proof may take once all is answered."""


class Stream:
    """The demo's main loop. show: draws what was seen so far. All methods raise DemoError where the daemon fails."""

    def __init__(self, daemon: subprocess.Popen[bytes], watch: Watch, show: Callable[[], None]) -> None:
        self._daemon = daemon
        self._watch = watch
        self._seen = watch.seen
        self._now = watch.now
        self._show = show
        self._refresh_due = watch.now()

    def wait_until_ready(self) -> None:
        """Return once the daemon has loaded the model."""
        if not self._waited(lambda: self._seen.ready, PATIENCE):
            raise self._no_progress("to be ready")

    def send(self, events: Mapping[str, bytes], outbox: Outbox, rate: float) -> None:
        """Write events, by their ids, `rate` a second; return once all are answered."""
        start = self._now()
        for number, (name, event) in enumerate(events.items()):
            while (early := start + number / rate - self._now()) > 0:
                self._look(early)
            self._seen.sent[name] = self._now()
            outbox.send([Record(name, event)])
        if not self._waited(lambda: self._seen.answered >= self._seen.events, PATIENCE):
            raise self._no_progress("to answer all events")

    def wait_for_idle_work(self, provable: bool) -> None:
        """Wait until the daemon has used its idle time; the last that it does is a proof, where there are proofs."""
        seen = self._seen
        self._waited(lambda: seen.proven if provable else seen.refinement is not None, IDLE_PATIENCE)
        self._show()

    def _waited(self, condition: Callable[[], bool], patience: float) -> bool:
        """Wait for a condition, as long as the daemon shows progress every `patience` seconds; whether it holds."""
        progress, end = (0, ""), self._now() + patience
        while not condition() and self._now() < end:
            self._look(REFRESH_SECONDS)
            if progress != (progress := (self._seen.answered, self._seen.sentence)):
                end = self._now() + patience
        return condition()

    def _no_progress(self, what: str) -> DemoError:
        return DemoError(f"waited {PATIENCE:.0f} s for the daemon {what}; its last line is: {self._seen.sentence}")

    def _look(self, timeout: float) -> None:
        self._watch.look(min(timeout, max(0.0, self._refresh_due - self._now())))
        if self._now() < self._refresh_due:
            return
        if self._daemon.poll() is not None:
            self._watch.look(0)
            raise DemoError(f"the daemon ended with exit code {self._daemon.returncode}: {self._seen.sentence}")
        self._watch.refresh()
        self._show()
        self._refresh_due = self._now() + REFRESH_SECONDS
