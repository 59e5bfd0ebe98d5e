"""When a long run is looked at."""

from __future__ import annotations

from collections.abc import Iterator


def doubling(most: int) -> Iterator[int]:
    """1, 2, 4, ... as long as they do not exceed the most."""
    number = 1
    while number <= most:
        yield number
        number *= 2


def is_checkpoint(number: int) -> bool:
    """Whether a count is looked at: all up to 8, then eight in every doubling."""
    return number <= 8 or number % (1 << (number.bit_length() - 4)) == 0
