"""What is left, and the memory that it takes, against the number of requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from benchmarks.figure import LOWEST, panels
from benchmarks.stream.course import Mark
from benchmarks.stream.measure import Stream
from benchmarks.stream.report import by_idle, variant

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PANELS: tuple[tuple[str, Callable[[Mark], float | None]], ...] = (
    ("left on forgotten pairs", lambda mark: mark.left.forgotten),
    ("left on held-out pairs", lambda mark: mark.left.holdout),
    ("memory of the process, MiB", lambda mark: None if mark.resident is None else mark.resident / 2**20),
)


def draw(streams: Sequence[Stream], title: str) -> Figure:
    """A row for each case, a line for each order. Raises IfruError where Matplotlib is not installed."""
    whole, rows = panels(title, len(streams), len(_PANELS) + 1, 21, 4.5 * len(streams) + 0.8)
    for stream, row in zip(streams, rows, strict=True):
        for panel, (label, of) in zip(row, _PANELS, strict=False):
            panel.set(xscale="log", xlabel="requests answered", ylabel=label, title=stream.description)
            _lines(panel, stream, of)
        for panel, lowest in zip(row, (stream.floor.forgotten, stream.floor.holdout), strict=False):
            panel.set(yscale="log")
            height = max(LOWEST, lowest or 0)
            panel.axhline(height, color="black", linestyle="--", label="two trainings from scratch, after the last")
        _pace(row[-1], stream)
        row[-2].set_ylim(0, 1.3 * row[-2].get_ylim()[1])
        row[0].legend(*row[1].get_legend_handles_labels(), fontsize="small", loc="lower left")
    return whole


def _pace(panel: Axes, stream: Stream) -> None:
    """Seconds of every answer, as they come."""
    panel.set(xlabel="requests answered", ylabel="seconds of an answer, settled", title=stream.description)
    for place, courses in enumerate(by_idle(stream).values()):
        for course in courses:
            seconds = [sum(both) for mark in course.marks for both in zip(mark.apply, mark.settle, strict=True)]
            panel.plot(range(1, len(seconds) + 1), seconds, color=f"C{place}", linewidth=0.8, alpha=0.7)
    panel.set_ylim(bottom=0)


def _lines(panel: Axes, stream: Stream, of: Callable[[Mark], float | None]) -> None:
    for place, (idle, courses) in enumerate(by_idle(stream).items()):
        for course in courses:
            heights = [(mark.requests, of(mark)) for mark in course.marks]
            panel.plot(
                [requests for requests, height in heights if height is not None],
                [max(LOWEST, height) for _, height in heights if height is not None],
                color=f"C{place}",
                marker="os"[place],
                markersize=4,
                linewidth=1.2,
                alpha=0.7,
                label=variant(idle) if course is courses[0] else None,
            )
