"""What is left of LightGCN's deletions, by products with the Hessian and by seconds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from benchmarks.figure import LOWEST, panels
from benchmarks.left import Left
from benchmarks.lightgcn.measure import DIRECT, GRAPH, UPDATE, Forgotten, Measured

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SETS: tuple[tuple[str, Callable[[Left], float | None], str], ...] = (
    ("forgotten pairs", lambda left: left.forgotten, ":"),
    ("held-out pairs", lambda left: left.holdout, "-"),
)


def draw(found: Sequence[Forgotten], title: str) -> Figure:
    """A row for each case, products on the left, seconds on the right.

    Raises IfruError where Matplotlib is not installed.
    """
    whole, rows = panels(title, len(found), 2, 15, 5.5 * len(found) + 0.8)
    for case, (products, seconds) in zip(found, rows, strict=True):
        products.set(xlabel="products with the Hessian", ylabel="left", yscale="log", title=case.description)
        seconds.set(xlabel="seconds", ylabel="left", xscale="log", yscale="log", title=case.description)
        others = [each for each in case.methods if each.method not in {GRAPH, UPDATE}]
        for name, of, style in _SETS:
            heights = [_height(each, of) for each in case.curve]
            label = f"{UPDATE}, {name}"
            products.plot([each.products for each in case.curve], heights, f"C0o{style}", markersize=4, label=label)
            seconds.plot([each.seconds for each in case.curve], heights, f"C0o{style}", markersize=4, label=label)
            for place, each in enumerate(others):
                filled = "full" if style == "-" else "none"
                look = {"color": f"C{place + 1}", "marker": "sD^vP"[place], "linestyle": "", "fillstyle": filled}
                seconds.plot([each.seconds], [_height(each, of)], label=f"{each.method}, {name}", **look)
                if each.method == DIRECT:
                    products.axhline(_height(each, of), color="C1", linestyle=style, label=f"{each.method}, {name}")
        products.legend(fontsize="small")
        seconds.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.01, 0.5))
    return whole


def _height(of: Measured, part: Callable[[Left], float | None]) -> float:
    return max(LOWEST, part(of.left) or 0.0)
