"""Sending events at a steady pace, and waiting for what the daemon makes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ifrud.streams.outboxes import Outbox, Record
from ifrud_demo.errors import DemoError
from ifrud_demo.process import Daemon
from ifrud_demo.watch import Clock, Seen, Watch

REFRESH_SECONDS = 0.25

PATIENCE = 60.0
"""Seconds for which the daemon may show no progress."""

IDLE_PATIENCE = 15.0
"""Seconds that it gets to refine and prove the model once all is answered."""


class Stream:
    """The demo's main loop. show: draws what was seen so far. All methods raise DemoError where the daemon fails."""

    def __init__(self, daemon: Daemon, watch: Watch, seen: Seen, clock: Clock, show: Callable[[], None]) -> None:
        self._daemon = daemon
        self._watch = watch
        self._seen = seen
        self._clock = clock
        self._show = show
        self._refresh_due = clock.now()

    def wait_until_ready(self) -> None:
        """Return once the daemon has loaded the model."""
        self._wait(lambda: self._seen.ready, "the daemon to be ready")

    def send(self, events: Mapping[str, bytes], outbox: Outbox, rate: float) -> None:
        """Write events, by their ids, `rate` a second; return once all are answered."""
        start = self._clock.now()
        for number, (name, event) in enumerate(events.items()):
            while (early := start + number / rate - self._clock.now()) > 0:
                self._look(early)
            self._seen.sent[name] = self._clock.now()
            outbox.send([Record(name, event)])
        self._wait(lambda: self._seen.answered >= self._seen.events, "all events to be answered")

    def wait_for_proof(self) -> None:
        """Leave the daemon in peace until it has used its idle time: the last that it does is a proof."""
        end = self._clock.now() + IDLE_PATIENCE
        while not (self._seen.proof or self._clock.now() > end):
            self._look(REFRESH_SECONDS)
        self._show()

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        progress, end = self._progress(), self._clock.now() + PATIENCE
        while not condition():
            self._look(REFRESH_SECONDS)
            if progress != (progress := self._progress()):
                end = self._clock.now() + PATIENCE
            if self._clock.now() > end:
                raise DemoError(f"waited {PATIENCE:.0f} s for {what}; the daemon's last words: {self._seen.sentence}")

    def _progress(self) -> tuple[int, str]:
        return self._seen.answered, self._seen.sentence

    def _look(self, timeout: float) -> None:
        self._watch.look(min(timeout, max(0.0, self._refresh_due - self._clock.now())))
        if self._clock.now() < self._refresh_due:
            return
        if self._daemon.exit_code is not None:
            self._watch.look(0)
            raise DemoError(f"the daemon ended with exit code {self._daemon.exit_code}: {self._seen.sentence}")
        self._watch.refresh()
        self._show()
        self._refresh_due = self._clock.now() + REFRESH_SECONDS
