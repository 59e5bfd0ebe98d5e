"""The command `ifru`, also as `python -m ifru`."""

from __future__ import annotations

import gc


def main() -> None:
    """Run the command line; ends the process."""
    # What is imported stays. Looking through it for garbage takes a quarter of the import, and goes on after it.
    gc.disable()
    from ifru.cli import main as run

    gc.freeze()
    gc.enable()
    run()


if __name__ == "__main__":
    main()
