"""Times, shares and counts as people read them."""

from __future__ import annotations

from datetime import UTC, datetime

UNKNOWN = "–"
_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def span(seconds: float) -> str:
    """A length of time, in its two largest units."""
    if abs(seconds) < 1:
        return f"{abs(seconds) * 1000:.0f} ms"
    left = int(abs(seconds))
    parts: list[str] = []
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count} {unit}" if count else "")
        if len(parts) == 2:
            break
    return " ".join(filter(None, parts))


def moment(time: datetime | None) -> str:
    """A time of day, to the second."""
    return UNKNOWN if time is None else f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def share(part: float | None) -> str:
    """A share in per cent, to three digits."""
    return UNKNOWN if part is None else f"{part * 100:.3g} %"


def small(value: float | None) -> str:
    """A small number, to two digits."""
    return UNKNOWN if value is None else f"{value:.1e}"


def count(number: float | None) -> str:
    """A whole number with its thousands apart."""
    return UNKNOWN if number is None else f"{number:,.0f}"


def counted(number: int, one: str, more: str | None = None) -> str:
    """A number with what is counted."""
    return f"{number:,} {one if number == 1 else more or one + 's'}"
