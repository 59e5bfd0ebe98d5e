"""Work in a process of its own that costs milliseconds to start: a copy of this one, which has imported everything.

Threads are not copied. So a process that forks runs no thread that a copy needs: clients are opened in copies alone.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path


def forked(work: Callable[[], None], log: Path) -> bool:
    """Do work in a copy of this process; False where it was killed. What it says is added to `log`.

    Raises RuntimeError, with the end of the log, where it failed.
    """
    pid = os.fork()
    if pid == 0:
        _redirect(log)
        try:
            work()
        except BaseException:  # noqa: BLE001 - the copy ends here, whatever it was
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
        sys.stderr.flush()
        # Threads of clients and of the proof may still run, and have nothing to keep.
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return False
    if status:
        raise RuntimeError(f"a process ended with status {status}; it said:\n{log.read_text(errors='replace')[-6000:]}")
    return True


def _redirect(log: Path) -> None:
    with log.open("ab") as file:
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
