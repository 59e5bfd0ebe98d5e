"""How figures are written, and put into a Markdown table."""

from __future__ import annotations

from collections.abc import Sequence


def number(value: float | None) -> str:
    """Four decimals, or a dash."""
    return "-" if value is None else f"{value:.4f}"


def share(value: float | None) -> str:
    """Four decimals, or as a power of ten where they would show little; a dash for nothing."""
    return f"{value:.1e}" if value is not None and 0 < value < 0.001 else number(value)


def multiple(times: float) -> str:
    """Three digits below a hundred, whole numbers above."""
    return f"{times:,.0f}" if times >= 100 else f"{times:.3g}"


def duration(seconds: float) -> str:
    """Three digits, in milliseconds below a second."""
    return f"{1000 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
