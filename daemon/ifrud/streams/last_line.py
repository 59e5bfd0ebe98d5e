"""Where the last complete line of a file ends."""

from __future__ import annotations

import os
from typing import BinaryIO

_BLOCK = 64 * 1024


def end_of_last_line(file: BinaryIO, start: int = 0) -> int:
    """The byte after the last newline behind `start`, or `start`; looked for from the end of the file."""
    position = file.seek(0, os.SEEK_END)
    while position > start:
        block = max(start, position - _BLOCK)
        file.seek(block)
        newline = file.read(position - block).rfind(b"\n")
        if newline >= 0:
            return block + newline + 1
        position = block
    return start
