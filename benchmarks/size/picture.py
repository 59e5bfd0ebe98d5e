"""Times, interactions read and memory against the size of the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmarks.figure import panels
from benchmarks.size.growth import by_support
from benchmarks.size.measure import Size

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw(sizes: Sequence[Size], title: str) -> Figure:
    """Times, interactions read, memory. Raises IfruError where Matplotlib is not installed."""
    whole, ((seconds, read, memory),) = panels(title, 1, 3, 17, 5.6)
    for panel, label in ((seconds, "seconds"), (read, "interactions read for a batch"), (memory, "memory, MiB")):
        panel.set(xscale="log", yscale="log", xlabel="interactions in the data", ylabel=label)
    _seconds(seconds, sizes)
    _read(read, sizes)
    _memory(memory, sizes)
    for panel in (seconds, read, memory):
        panel.legend(fontsize="small")
    return whole


def _seconds(panel: Axes, sizes: Sequence[Size]) -> None:
    across = [size.interactions for size in sizes]
    for place, (support, answers) in enumerate(by_support(sizes).items()):
        panel.plot(across, [one.apply for one in answers], f"C{place}o-", label=f"apply, {support}")
        whole = [one.apply + one.settle for one in answers]
        panel.plot(across, whole, f"C{place}o:", markersize=4, label=f"apply and settle, {support}")
    panel.plot(across, [size.scratch.seconds for size in sizes], "k--", label="training from scratch")
    guessed = [(size.interactions, size.scratch.seconds) for size in sizes if not size.scratch.measured]
    if guessed:
        panel.plot(*zip(*guessed, strict=True), "ko", fillstyle="none", linestyle="", label="extrapolated")


def _read(panel: Axes, sizes: Sequence[Size]) -> None:
    across = [size.interactions for size in sizes]
    for place, (support, answers) in enumerate(by_support(sizes).items()):
        panel.plot(across, [one.read for one in answers], f"C{place}o-", label=f"apply, {support}")
        whole = [one.read + one.read_settling for one in answers]
        panel.plot(across, whole, f"C{place}o:", markersize=4, label=f"apply and settle, {support}")
    panel.plot(across, across, "k--", linewidth=1, label="all, once")


def _memory(panel: Axes, sizes: Sequence[Size]) -> None:
    across = [size.interactions for size in sizes]
    of_first = [size.answers[0] for size in sizes]
    panel.plot(across, [one.held / 2**20 for one in of_first], "C4o-", label="the engine")
    for label, style, found in (
        ("the process with the engine at work", "C5s-", [one.resident for one in of_first]),
        ("the process at most", "C5s:", [one.peak for one in of_first]),
    ):
        known = [(at, size / 2**20) for at, size in zip(across, found, strict=True) if size is not None]
        if known:
            panel.plot(*zip(*known, strict=True), style, markersize=4, label=label)
