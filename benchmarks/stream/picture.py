"""What is left, and the memory that it takes, against the number of requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.plot import figure
from benchmarks.stream.course import Mark
from benchmarks.stream.measure import Stream
from benchmarks.stream.report import by_idle, variant

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LOWEST = 1e-5
"""Smaller figures, zero among them, are drawn here."""

_PANELS: tuple[tuple[str, Callable[[Mark], float | None]], ...] = (
    ("left on forgotten pairs", lambda mark: mark.left.forgotten),
    ("left on held-out pairs", lambda mark: mark.left.holdout),
    ("memory of the process, MiB", lambda mark: None if mark.resident is None else mark.resident / 2**20),
)


def draw(streams: Sequence[Stream], path: Path, title: str) -> None:
    """Write a PNG: a row for each case, a line for each order. Raises IfruError where Matplotlib is not installed."""
    whole = figure(16, 4.5 * len(streams) + 0.8, title)
    rows = whole.subplots(len(streams), len(_PANELS), squeeze=False)
    for stream, panels in zip(streams, rows, strict=True):
        for panel, (label, of) in zip(panels, _PANELS, strict=True):
            panel.set(xscale="log", xlabel="requests answered", ylabel=label, title=stream.description)
            panel.grid(visible=True, which="major", alpha=0.3)
            _lines(panel, stream, of)
        for panel, lowest in zip(panels, (stream.floor.forgotten, stream.floor.holdout), strict=False):
            panel.set(yscale="log")
            height = max(_LOWEST, lowest or 0)
            panel.axhline(height, color="black", linestyle="--", label="two trainings from scratch, after the last")
        panels[-1].set_ylim(0, 1.3 * panels[-1].get_ylim()[1])
        panels[-1].legend(*panels[1].get_legend_handles_labels(), fontsize="small", loc="lower left")
    whole.savefig(path, dpi=130)


def _lines(panel: Axes, stream: Stream, of: Callable[[Mark], float | None]) -> None:
    for place, (idle, courses) in enumerate(by_idle(stream).items()):
        for course in courses:
            heights = [(mark.requests, of(mark)) for mark in course.marks]
            panel.plot(
                [requests for requests, height in heights if height is not None],
                [max(_LOWEST, height) for _, height in heights if height is not None],
                color=f"C{place}",
                marker="os"[place],
                markersize=4,
                linewidth=1.2,
                alpha=0.7,
                label=variant(idle) if course is courses[0] else None,
            )
