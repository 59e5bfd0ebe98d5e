"""`python -m benchmarks.chosen_pairs`: intervals for what the exactly retrained model says of each request's pairs.

One update answers many requests at once. Each of them gets a proof of its own on what is retained, and the truth comes
from a retrained model. Axes: R rows, K columns of a row, n requests.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from time import process_time
from typing import TYPE_CHECKING, Annotated

import numpy as np
import torch
import typer
from torch import Tensor

from benchmarks.base import CPU, Base, stationary
from benchmarks.cells import duration, share, table
from benchmarks.engines import ready
from benchmarks.facts import facts, heading
from benchmarks.figure import panels
from benchmarks.runner import Result, RunOnData, benchmark, execute, known
from benchmarks.setups import SETUPS, Setup
from ifru.engine.settings import EngineSettings
from ifru.errors import IfruError
from ifru.evaluation.chosen_pairs import PairProver, by_change, pair_scores
from ifru.interactions import Deletion, Interactions
from ifru.interactions.table import Int64
from ifru.models import MFConfig
from ifru.models.ials import IALSConfig
from ifru.models.lightgcn import LightGCNConfig
from ifru.models.proving import prove
from ifru.objective.parameters import Parameters
from ifru.objective.tilted import ChosenPairs
from ifru.training import PROVEN, fit
from ifru.training.dimensions import woken

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MODELS = ("mf", "lightgcn", "ials")
_MOST = 20
"""Interactions of a request."""
_QUICK = 5
_EXACT = 1e-10
"""Gradient norm of the truth, in √L."""


@dataclass(frozen=True)
class Proven:
    """A request of so many interactions: f before it, as published, refined, retrained; its interval, and the cost.

    seconds: of the processor.
    """

    interactions: int
    before: float
    published: float
    refined: float
    retrained: float
    low: float
    high: float
    failure_probability: float
    products: int
    seconds: float

    @property
    def holds(self) -> bool:
        return self.low <= self.retrained <= self.high

    def bound(self, version: float) -> float:
        return max(version - self.low, self.high - version)

    def left(self, version: float) -> float | None:
        """At most, of the change; None where nothing has changed."""
        change = abs(self.before - version)
        return self.bound(version) / change if change else None


@dataclass(frozen=True)
class Measured:
    """All requests. shared: what their proofs have in common. retrain: from scratch. Seconds are of the processor."""

    requests: list[Proven]
    shared_seconds: float
    shared_products: int
    retrain_seconds: float


@benchmark("chosen_pairs.png")
def main(
    run: RunOnData,
    model: Annotated[str, typer.Option(help=f"{', '.join(MODELS)}.")] = "mf",
    requests: Annotated[int, typer.Option(min=1, help="Answered by one update.")] = 100,
    rank: Annotated[int | None, typer.Option(min=1, show_default="the data set's own")] = None,
    l2: Annotated[float | None, typer.Option(help="λ.", show_default="the data set's own")] = None,
) -> Result:
    """Prove what is said of the pairs of each of some requests, and hold it against a retrained model.

    A request is of 1 to 20 random interactions of a user. Prints Markdown and writes a PNG.
    """
    setups = {name: _of(known("--model", model, MODELS), name, setup) for name, setup in SETUPS.items()}
    base = run.base(setups=setups, rank=rank, l2=l2)
    found = measure(base, min(requests, _QUICK) if run.quick else requests, run)
    document = {"base": facts(base), **asdict(found)}
    return Result(heading(base), facts(base), markdown(found), document, draw(found, heading(base)))


def _of(model: str, data: str, setup: Setup) -> Setup:
    if model == "ials":
        return replace(setup, label="positive:0", model=IALSConfig, rank=64, l2=20.0)
    if model == "lightgcn":
        return replace(setup, model=partial(LightGCNConfig, layers=2), l2=0.02 if data == "ml-1m-implicit" else 0.05)
    return replace(setup, model=MFConfig)


def measure(base: Base, requests: int, run: RunOnData) -> Measured:
    """One update for all requests, a retrained model, and a proof for each request; deterministic under a seed."""
    asked = drawn(base, requests, np.random.default_rng(run.seed))
    engine = ready(base, EngineSettings())
    before = base.served(base.theta.float(), base.train)
    engine.apply(
        Deletion(np.unique(np.concatenate([base.train.with_companions(rows) for rows in asked])), np.arange(0))
    )
    train, published = engine.dataset.train, engine.parameters.to("cpu", copy=True)
    engine.refine()
    served = [base.served(tables.stacked(), train) for tables in (published, engine.parameters)]
    run.report("retraining", None)
    start = process_time()
    fit(train, base.config, seed=run.seed, device=CPU, dtype=torch.float64)
    retrain_seconds = process_time() - start
    exact = run.kept.tensor(
        ("chosen pairs", base.config, base.theta.numpy(), train.alive),
        lambda: _optimum(base, train),
    )
    served.append(base.served(exact, train))
    run.report("solving", None)
    start = process_time()
    prover = PairProver(engine.parameters.to("cpu", copy=True), train, base.config)
    shared = process_time() - start
    found = []
    for number, rows in enumerate(asked):
        run.report(f"request {number + 1} of {requests}", number / requests)
        found.append(_proven(base, prover, rows, [before, *served], run.seed))
    return Measured(found, shared, prover.products, retrain_seconds)


def drawn(base: Base, requests: int, random: np.random.Generator) -> list[Int64]:
    """Recorded rows of different users, 1 to 20 of each, as many as there are."""
    table = base.train
    users = random.choice(np.flatnonzero(table.user_degree), requests, replace=False)
    found = []
    for user in users:
        rows = table.rows_of_user(int(user))
        rows = rows[table.recorded[rows]]
        found.append(np.sort(random.choice(rows, min(int(random.integers(1, _MOST + 1)), len(rows)), replace=False)))
    return found


def _proven(base: Base, prover: PairProver, rows: Int64, served: Sequence[Tensor], seed: int) -> Proven:
    """served: the rows [R, K] that score pairs before, as published, refined, and retrained."""
    numbers = np.unique(base.train.user[rows].astype(np.int64) * base.train.items + base.train.item[rows])
    user, item = (torch.from_numpy(side) for side in np.divmod(numbers, base.train.items))
    pairs = ChosenPairs(user, item, torch.ones(len(user), dtype=torch.float64))
    scores = [pair_scores(base.config, Parameters.unstacked(tables, base.train.users), pairs) for tables in served]
    pairs = by_change(user, item, scores[1], scores[0])
    start = process_time()
    found = prover.prove(pairs, torch.Generator().manual_seed(seed))
    seconds = process_time() - start
    before, published, refined, retrained = (float((pairs.weight * each).sum()) for each in scores)
    return Proven(
        interactions=len(rows),
        before=before,
        published=published,
        refined=refined,
        retrained=retrained,
        low=found.low,
        high=found.high,
        failure_probability=found.failure_probability,
        products=found.products,
        seconds=seconds,
    )


def _optimum(base: Base, train: Interactions) -> Tensor:
    """θ [R, K] of the exactly retrained model. Raises IfruError where that is not proven optimal."""
    random = torch.Generator().manual_seed(0)
    theta = base.theta * torch.from_numpy(train.degree > 0)[:, None]
    for missing in (False, True):
        theta = stationary(train, base.config, woken(theta, random) if missing else theta, _EXACT)
        gap = prove(base.parameters(theta), train, base.config, random=random).relative_gap
        if gap <= PROVEN[torch.float64]:
            return theta
    raise IfruError(f"the retrained model is not proven optimal: its relative gap is {gap:.1e}; raise --rank or --l2")


def markdown(found: Measured) -> str:
    """What is proven of the versions as published and refined, and what it costs."""
    requests = [each for each in found.requests if each.high > each.low]
    rows = []
    for name in ("published", "refined"):
        versions = [(each, float(getattr(each, name))) for each in requests]
        distances = [abs(version - each.retrained) for each, version in versions]
        bounds = [each.bound(version) for each, version in versions]
        ratios = [bound / max(distance, 1e-300) for bound, distance in zip(bounds, distances, strict=True)]
        left = [each.left(version) for each, version in versions]
        shares = [one for one in left if one is not None]
        medians = [share(statistics.median(each)) for each in (distances, bounds)]
        last = [share(statistics.median(shares)), share(max(shares))]
        rows.append([name, *medians, f"{statistics.median(ratios):.3g}", *last])
    head = ["version", "true distance", "bound", "bound / distance", "left at most", "worst"]
    seconds, products = (statistics.median(getattr(each, of) for each in requests) for of in ("seconds", "products"))
    whole, first = found.shared_seconds + sum(each.seconds for each in requests), requests[0]
    return (
        f"{sum(each.holds for each in found.requests)} of {len(found.requests)} intervals hold the truth; "
        f"{len(found.requests) - len(requests)} users have nothing left, and their pairs score zero exactly. Medians "
        f"over the others:\n\n{table(head, rows)}\n\n"
        f"Processor time. Solving on from the refined version, for all proofs: {duration(found.shared_seconds)} "
        f"and {found.shared_products} products. The first proof, with its search: {duration(first.seconds)} and "
        f"{first.products} products. A proof: {duration(seconds)} and {products:.0f} products (medians). All together: "
        f"{duration(whole)}. Retraining: {duration(found.retrain_seconds)}: that of the first alone, solved on, is "
        f"{found.retrain_seconds / (found.shared_seconds + first.seconds):.3g} times as much, of each of them together "
        f"{found.retrain_seconds * len(requests) / whole:.3g} times."
    )


def draw(found: Measured, title: str) -> Figure:
    """Intervals beside the truth, sorted by width, in shares of the change. Raises IfruError without Matplotlib."""
    whole, ((panel,),) = panels(f"{title}: what the retrained model says, proven and true", 1, 1, 11, 5)
    moved = [each for each in found.requests if each.before != each.published and each.high > each.low]
    moved.sort(key=lambda each: (each.high - each.low) / abs(each.before - each.published))
    size = [abs(each.before - each.published) for each in moved]
    places = np.arange(len(moved))
    low, high = (
        [(getattr(e, end) - e.retrained) / by for e, by in zip(moved, size, strict=True)] for end in ("low", "high")
    )
    panel.vlines(places, low, high, color="C0", linewidth=3, alpha=0.5, label="proven interval")
    for name, color, marker in (("published", "C1", "o"), ("refined", "C2", "x")):
        points = [(getattr(e, name) - e.retrained) / by for e, by in zip(moved, size, strict=True)]
        panel.plot(places, points, marker, color=color, markersize=4, linestyle="none", label=name)
    panel.axhline(0, color="0.3", linewidth=1, label="retrained")
    panel.set(
        xlabel="requests, by the width of their intervals", ylabel="distance to the retrained model, in the change"
    )
    panel.set_yscale("symlog", linthresh=1e-4)
    panel.margins(x=0.01)
    panel.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
    panel.grid(axis="y", color="0.9")
    panel.legend(loc="upper left", ncols=4, frameon=False)
    return whole


if __name__ == "__main__":
    execute(main)
