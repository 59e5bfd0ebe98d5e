"""What commands print: results on stdout, progress on stderr."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from ifru.training import Report


@contextmanager
def progress(screen: Console | None = None) -> Iterator[Report]:
    """A bar, where the screen (stderr by default) is a terminal; it is gone when the work is done.

    What does not fit beside the bar is continued below. Of what takes long, it says about how long it will take yet.
    """
    screen = screen or Console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", table_column=Column(overflow="fold")),
        BarColumn(min(40, screen.width // 4), table_column=Column(no_wrap=True)),
        TimeElapsedColumn(Column(no_wrap=True)),
    )
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task, last, since = bar.add_task("reading", total=None), "", 0.0

        def report(what: str, share: float | None) -> None:
            nonlocal last, since
            if what != last:
                last, since = what, bar.get_time()
            left = remaining(bar.get_time() - since, share)
            shown = what if left is None else f"{what}, {left}"
            bar.update(task, description=shown, total=None if share is None else 1.0, completed=share or 0.0)

        yield report


_TELLING, _LONG = 0.1, 5.0
"""Share of some work from which its pace tells how long the rest takes, and seconds of a rest that is worth telling."""


def remaining(seconds: float, share: float | None) -> str | None:
    """How long the rest of some work takes, of which a share took some seconds; None where that is not known, or soon
    over."""
    if share is None or share < _TELLING:
        return None
    rest = seconds / share - seconds
    if rest < _LONG:
        return None
    return f"about {rest:.0f} s left" if rest < 90 else f"about {rest / 60:.0f} min left"


def print_json(document: object) -> None:
    """One JSON document; numbers that JSON does not have become null."""
    typer.echo(json.dumps(_finite(document), indent=2, ensure_ascii=False, allow_nan=False))


def _finite(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def print_facts(facts: Mapping[str, object]) -> None:
    """Names and values, one pair a line."""
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in facts.items():
        table.add_row(name, readable(value))
    console().print(table)


def print_table(rows: Sequence[Mapping[str, object]]) -> None:
    """Rows of the same names, which become the heads of columns."""
    table = Table(*(name.replace("_", " ") for name in rows[0]), box=None, pad_edge=False)
    for row in rows:
        table.add_row(*map(readable, row.values()))
    console().print(table)


def console() -> Console:
    """Where text for people goes: as wide as the terminal, and wide enough for whole lines where there is none."""
    out = Console()
    return out if out.is_terminal else Console(width=200)


def readable(value: object) -> str:
    """A value for people: four digits, a dash for nothing."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
