"""The `ifrud` command, also as `python -m ifrud`."""

from __future__ import annotations

import os
import signal


def main() -> None:
    """Run the command line; ends the process."""
    # Process 1 of a container has no default actions: until the command takes over, a signal would be lost.
    if os.getpid() == 1:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, frame: os._exit(128 + number))
    from ifrud.cli import app

    app()


if __name__ == "__main__":
    main()
