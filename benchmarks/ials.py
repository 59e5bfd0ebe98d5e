"""`python -m benchmarks.ials`: updates of iALS beside fits by the package `implicit`, in one run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from statistics import mean
from typing import TYPE_CHECKING, Annotated, cast

import typer
from torch import Tensor

from benchmarks.base import Base
from benchmarks.cases import Case, build, describe
from benchmarks.cells import duration, multiple, share, table
from benchmarks.engines import ready, settings
from benchmarks.figure import LOWEST, panels
from benchmarks.left import Left, left, scores, served
from benchmarks.methods.implicit_als import confidences, fitted
from benchmarks.methods.protocol import Budget
from benchmarks.models.families import FAMILIES, setup_of
from benchmarks.runner import Result, RunOnData, benchmark, execute, of_cases
from benchmarks.setups import SETUPS
from benchmarks.timing import repeated
from ifru.engine.engine import Engine
from ifru.interactions import Interactions
from ifru.interactions.table import Int64
from ifru.models.ials import IALSConfig

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CASES = ("rows:100", "users:10")
_TOLERANCES = (0.01, 0.1, 0.2, 0.3)
_ITERATIONS = (15, 100)
SEEDS = 5
_HEAD = ("way", "left, forgotten / held-out", "time", "× faster than {0} iterations", "than {1}", "products")


@dataclass(frozen=True)
class Way:
    """One way to forget: an update to a tolerance, or a fit of so many iterations on what is retained."""

    name: str
    left: Left
    seconds: float
    products: int | None


@dataclass(frozen=True)
class Compared:
    """A case. fits: seconds of so many iterations on what is retained."""

    case: str
    description: str
    ways: tuple[Way, ...]
    fits: tuple[tuple[int, float], ...]


@benchmark("ials.png")
def main(
    run: RunOnData,
    case: Annotated[
        list[str] | None,
        typer.Option(
            help="rows:N, users:N, items:N, active:N or month; may be repeated.", show_default="; ".join(_CASES)
        ),
    ] = None,
    tolerance: Annotated[
        list[float] | None,
        typer.Option(help="Of an update; may be repeated.", show_default=", ".join(map(str, _TOLERANCES))),
    ] = None,
    rank: Annotated[int | None, typer.Option(min=1, show_default="the data set's own")] = None,
    l2: Annotated[float | None, typer.Option(show_default="the data set's own")] = None,
    cpu: Annotated[bool, typer.Option("--cpu", help="Count processor time: of one thread on a busy machine.")] = False,
    repeats: Annotated[int, typer.Option(min=1, help="Of short work; the median counts.")] = 7,
) -> Result:
    """Forget by updates to several tolerances, and by fitting anew with `implicit`: what is left, and the times.

    `implicit` takes as many threads as NUMBA_NUM_THREADS says. Prints Markdown and writes a PNG.
    """
    budget = Budget(repeats=1 if run.quick else repeats, clock=time.process_time if cpu else time.perf_counter)
    setups = {name: setup_of(FAMILIES["ials"], name, setup) for name, setup in SETUPS.items()}
    base = run.base(setups=setups, rank=rank, l2=l2)
    iterations = (1, 2) if run.quick else _ITERATIONS
    asked = tolerance or _TOLERANCES
    found = [compare(base, each, asked, iterations, budget, run) for each in case or _CASES]
    return of_cases(base, "cases", found, markdown, draw, clock="processor" if cpu else "wall")


def compare(
    base: Base, name: str, tolerances: Sequence[float], iterations: Sequence[int], budget: Budget, run: RunOnData
) -> Compared:
    run.report(f"{describe(name)}: retraining", None)
    case = build(name, base, run.seed, run.kept)
    config, ways, fits = cast("IALSConfig", base.config), list[Way](), list[tuple[int, float]]()

    def applied(engine: Engine) -> tuple[Engine, int]:
        return engine, engine.apply(case.deletion).iterations

    for tolerance in tolerances:
        run.report(f"{case.name}: update to {tolerance:g}", None)
        asked = settings("auto", tolerance)
        (engine, products), seconds = repeated(budget.clock, budget.repeats, partial(ready, base, asked), applied)
        ways.append(Way(f"update to {tolerance:g}", left(case, engine.parameters.stacked()), seconds, products))
    matrix = confidences(case.retained)
    for count in iterations:
        run.report(f"{case.name}: {count} iterations of implicit", None)
        start = budget.clock()
        theta = fitted(matrix, config, count)
        seconds = budget.clock() - start
        ways.append(Way(f"implicit, {count} iterations", left(case, theta), seconds, None))
        fits.append((count, seconds))
    run.report(f"{case.name}: other seeds of implicit", None)
    others = [fitted(matrix, config, iterations[0], seed) for seed in range(SEEDS)]
    name_of_spread = f"implicit, one seed to another, {iterations[0]} iterations"
    ways.append(Way(name_of_spread, spread(case, others), fits[0][1], None))
    return Compared(name, describe(name), tuple(ways), tuple(fits))


def spread(case: Case, fits: Sequence[Tensor]) -> Left:
    """How far fits [R, K] are from each other, in the mean of all pairs of them, in the measure of `left`."""
    base = case.base
    train, holdout, rows = base.train, base.dataset.holdout, case.held_out(base.test)

    def apart(table: Interactions, pairs: Int64) -> float | None:
        before, exact = (scores(rows, table, pairs) for rows in (base.theta, served(case, case.exact)))
        found = [scores(served(case, theta), table, pairs) for theta in fits]
        whole = float((before - exact).norm())
        return mean(float((a - b).norm()) for a, b in combinations(found, 2)) / whole if whole > 0 else None

    return Left(apart(train, case.deletion.train), apart(holdout, rows), None)


def markdown(found: Sequence[Compared]) -> str:
    """A table for each case."""
    return "\n\n".join(f"## {each.description}\n\n{_table(each)}" for each in found) + "\n"


def _table(case: Compared) -> str:
    head = [each.format(*(count for count, _ in case.fits)) for each in _HEAD]
    return table(head, [_row(way, [seconds for _, seconds in case.fits]) for way in case.ways])


def _row(way: Way, fits: Sequence[float]) -> tuple[str, ...]:
    return (
        way.name,
        f"{share(way.left.forgotten)} / {share(way.left.holdout)}",
        duration(way.seconds),
        *(multiple(seconds / way.seconds) for seconds in fits),
        "" if way.products is None else str(way.products),
    )


def draw(found: Sequence[Compared], title: str) -> Figure:
    """What is left on held-out pairs against seconds. Raises IfruError where Matplotlib is not installed."""
    whole, ((*shown,),) = panels(title, 1, len(found), 6.0 * len(found), 4.5)
    for case, panel in zip(found, shown, strict=True):
        for way in case.ways:
            panel.plot(way.seconds, max(way.left.holdout or 0, LOWEST), "o", label=way.name)
        panel.set(xscale="log", yscale="log", xlabel="seconds", ylabel="left on held-out pairs", title=case.description)
        panel.legend(fontsize="small")
    return whole


if __name__ == "__main__":
    execute(main)
