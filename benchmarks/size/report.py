"""Times and memory by size, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.cells import duration, multiple, share, table
from benchmarks.size.growth import growth, memory
from benchmarks.size.measure import Answers, Asked, Scratch, Size

_HEAD = (
    "interactions",
    "users",
    "items",
    "support",
    "apply",
    "settle",
    "read by apply",
    "by settle",
    "answered by",
    "influence",
    "the base's own debt",
    "build-up",
    "from scratch",
    "engine",
    "resident",
    "peak",
)
_GROWTH_HEAD = ("support", "data", "apply", "with settling", "read by apply", "with settling")


def markdown(sizes: Sequence[Size], asked: Asked) -> str:
    """A row for each size and support, how both ends compare, and what memory goes with interactions and rows."""
    title = f"## {asked.batch} random interactions, tolerance {asked.tolerance:g}, {asked.batches} batches of them"
    rows = [_row(size, answers) for size in sizes for answers in size.answers]
    return "\n\n".join([title, table(_HEAD, rows), *_growth(sizes), *_memory(sizes)]) + "\n"


def _row(size: Size, answers: Answers) -> tuple[str, ...]:
    return (
        f"{size.interactions:,}",
        f"{size.users:,}",
        f"{size.items:,}",
        answers.support,
        duration(answers.apply),
        duration(answers.settle),
        f"{answers.read:,.0f}",
        f"{answers.read_settling:,.0f}",
        ", ".join(answers.methods),
        share(answers.influence),
        share(answers.own_debt),
        duration(answers.build_up),
        _scratch(size.scratch),
        _mebibytes(answers.held),
        _mebibytes(answers.resident),
        _mebibytes(answers.peak),
    )


def _growth(sizes: Sequence[Size]) -> list[str]:
    if len(sizes) < 2:
        return []
    rows = [
        (one.support, *map(_times, (one.data, one.apply, one.answered, one.read, one.read_answered)))
        for one in growth(sizes)
    ]
    return ["From the smallest size to the largest:", table(_GROWTH_HEAD, rows)]


def _times(multiples: float) -> str:
    return f"{multiple(multiples)} ×"


def _memory(sizes: Sequence[Size]) -> list[str]:
    found = memory(sizes)
    if found is None:
        return []
    interaction, row = found
    return [f"Memory of the engine, fitted: {interaction:,.0f} bytes an interaction, {row:,.0f} bytes a row."]


def _scratch(scratch: Scratch) -> str:
    return duration(scratch.seconds) if scratch.measured else f"{duration(scratch.seconds)} (extrapolated)"


def _mebibytes(size: int | None) -> str:
    return "-" if size is None else f"{size / 2**20:,.0f} MiB"
