"""The demo's output for people: a table that is redrawn on a terminal, lines anywhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ifrud_demo.watch import Seen

_LINE_SECONDS = 2.0
"""How often a line is written where there is no terminal."""

_PLAIN_WIDTH = 200
"""Lines of a file are as long as they are."""


class Screen:
    """Text for people. stderr: leaves standard output to the result. now: seconds."""

    def __init__(self, stderr: bool, now: Callable[[], float]) -> None:
        self._console = Console(stderr=stderr, highlight=False)
        self._redraws = self._console.file.isatty() and not self._console.is_dumb_terminal
        if not self._redraws:
            self._console = Console(stderr=stderr, highlight=False, width=_PLAIN_WIDTH, force_terminal=False)
        self._now = now
        self._start = self._line_due = now()

    def say(self, text: str) -> None:
        """A sentence."""
        self._console.print(Text(text), soft_wrap=not self._redraws)

    def facts(self, facts: Mapping[str, str]) -> None:
        """Names and values."""
        self._console.print(_table(facts))

    def table(self, table: Table) -> None:
        """A table between two empty lines."""
        self._console.print("", table, "", sep="\n")

    @contextmanager
    def following(self, seen: Seen) -> Iterator[Callable[[], None]]:
        """A function to call whenever `seen` has changed; it shows the change."""
        if self._redraws:
            with Live(console=self._console, auto_refresh=False) as live:
                yield lambda: live.update(Group(_table(_facts(seen)), Text(seen.sentence, style="dim")), refresh=True)
        else:
            yield lambda: self._line(seen) if self._now() >= self._line_due else None
            self._line(seen)

    def _line(self, seen: Seen) -> None:
        facts = _facts(seen)
        shown = ", ".join((facts["events"], f"version {facts['version']}", f"latency {facts['latency']}"))
        self.say(f"{self._now() - self._start:3.0f} s: {shown}")
        self._line_due = self._now() + _LINE_SECONDS


def milliseconds(seconds: float | None) -> str:
    """A time for people."""
    return "-" if seconds is None else f"{1000 * seconds:,.0f} ms"


def share(value: float | None) -> str:
    """A share for people, with two digits that count."""
    if value is None:
        return "-"
    return "< 0.001 %" if 0 < value < 1e-5 else f"{100 * value:.2g} %"


def latency(seen: Seen) -> str:
    """The latencies so far, for people."""
    return f"p50 {milliseconds(seen.latency(50))}, p99 {milliseconds(seen.latency(99))}"


def _facts(seen: Seen) -> dict[str, str]:
    left, newest = "-", seen.newest
    if seen.versions:
        left = f"{share(seen.versions[-1].settled)} of the newest batch, {share(seen.versions[-1].total)} of all"
    return {
        "events": f"{len(seen.sent):,} of {seen.events:,} sent, {seen.answered:,} answered",
        "dead letters": "; ".join(seen.reasons) or "none",
        "version": "-" if newest is None else f"{newest.version:,}",
        "latency": latency(seen),
        "residual influence": left,
        "retained": "-" if newest is None else f"{newest.retained:,} rows, {newest.holdout:,} held out",
    }


def _table(facts: Mapping[str, str]) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", overflow="fold")
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(name, Text(value))
    return table
