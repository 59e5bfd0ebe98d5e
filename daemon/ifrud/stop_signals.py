"""SIGTERM and SIGINT: a process that starts ends at once, one that works finishes the batch in hand."""

from __future__ import annotations

import os
import signal
import socket
import threading
from typing import Final

import structlog

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

log = structlog.stdlib.get_logger("ifrud")


class StopSignals:
    """Asks for a stop once a signal has come. While the process starts it ends with 128 + the signal's number instead,
    since there is nothing to finish; so does a second signal at any time.

    A thread of its own sees signals: Python calls handlers on the main thread, which may be in a compiler or a file for
    seconds. The default action would do as well, but for process 1 of a container there is none.
    """

    def __init__(self) -> None:
        self.name: str | None = None
        self._starting = True
        self._received, wake = socket.socketpair()
        wake.setblocking(False)
        self._wake = wake
        for number in SIGNALS:
            signal.signal(number, lambda number, frame: None)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._watch, name="signals", daemon=True).start()

    def __call__(self) -> bool:
        return self.name is not None

    def started(self) -> None:
        """From now on there may be a batch to finish."""
        self._starting = False

    def _watch(self) -> None:
        while True:
            number = self._received.recv(1)[0]
            if number not in SIGNALS:
                continue
            if self._starting or self.name is not None:
                when = "while it started" if self._starting else "for the second time"
                log.info(f"stopped: {signal.Signals(number).name} {when}", exit_code=128 + number)
                os._exit(128 + number)
            self.name = signal.Signals(number).name
