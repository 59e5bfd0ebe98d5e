"""What the answers together say: rank correlations, violations, and how far apart figures and truth are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.cells import table
from benchmarks.rank_correlation import spearman
from benchmarks.residual.measure import SETS, Measured

FIGURES: dict[str, Callable[[Measured], float]] = {
    "as published": lambda answer: answer.published,
    "as settled": lambda answer: answer.settled,
}
BOUNDS: dict[str, Callable[[Measured], float]] = {
    "own dual point": lambda answer: answer.own,
    "dual point of the exact retrain": lambda answer: answer.tightened,
}
QUANTILES = (0.0, 0.05, 0.5, 0.95, 1.0)


@dataclass(frozen=True)
class Summary:
    """groups: number of answers in each. correlations: by figure, set of pairs, and group; None where there is nothing
    to correlate.

    violations: bounds below the truth, by dual point. looseness: quantiles of bound over truth, by dual point.
    remaining: quantiles of left on all pairs over residual influence, by figure.
    floors: quantiles of the bounds of the exact retrains themselves: where one is no proven optimum, nothing is tight.
    """

    answers: int
    deletions: int
    groups: dict[str, int]
    correlations: dict[str, dict[str, dict[str, float | None]]]
    violations: dict[str, int]
    looseness: dict[str, list[float]]
    remaining: dict[str, list[float]]
    floors: list[float]


def summary(found: Sequence[Measured]) -> Summary:
    """The answers taken together."""
    groups = _groups(found)
    headline = next(iter(SETS))
    return Summary(
        answers=len(found),
        deletions=len({answer.deletion for answer in found}),
        groups={name: len(group) for name, group in groups.items()},
        correlations={
            figure: {of: {name: _correlation(group, value, of) for name, group in groups.items()} for of in SETS}
            for figure, value in FIGURES.items()
        },
        violations={point: sum(bound(answer) < answer.rms for answer in found) for point, bound in BOUNDS.items()},
        looseness={point: _quantiles([(bound(each), each.rms) for each in found]) for point, bound in BOUNDS.items()},
        remaining={
            figure: _quantiles([(each.left[headline] or 0.0, value(each)) for each in found])
            for figure, value in FIGURES.items()
        },
        floors=[float(value) for value in np.quantile([answer.floor for answer in found], QUANTILES)],
    )


def markdown(of: Summary) -> str:
    """The summary as Markdown tables."""
    correlations = [
        (figure, SETS[name], *(_shown(by_group[group]) for group in of.groups))
        for figure, by_set in of.correlations.items()
        for name, by_group in by_set.items()
    ]
    quantiles = ["least", "5 %", "median", "95 %", "most"]
    looseness = [
        (point, str(of.violations[point]), *(f"{value:.3g}" for value in values))
        for point, values in of.looseness.items()
    ]
    remaining = [(figure, *(f"{value:.3g}" for value in values)) for figure, values in of.remaining.items()]
    return "\n\n".join(
        [
            f"{of.answers} answers to {of.deletions} deletions.",
            "Rank correlation (Spearman) of the residual influence with what is left; all pairs that remain are the "
            "headline:",
            table(("residual influence", "left on", *(f"{name} ({n})" for name, n in of.groups.items())), correlations),
            "Left on all pairs that remain, over the residual influence:",
            table(("residual influence", *quantiles), remaining),
            "Proven bound over the true root mean square (retained pairs, in probability); a violation is a bound "
            f"below the truth. The exact retrains are themselves proven to {of.floors[2]:.1e} (median), "
            f"{of.floors[-1]:.1e} (worst):",
            table(("bound from", "violations", *quantiles), looseness),
        ]
    )


def _groups(found: Sequence[Measured]) -> dict[str, list[Measured]]:
    """All answers, those with each support, and those to each kind of deletion."""
    groups = {"all": list(found)}
    for answer in sorted(found, key=lambda each: each.support):
        groups.setdefault(answer.support, []).append(answer)
    for answer in sorted(found, key=lambda each: each.kind):
        groups.setdefault(answer.kind, []).append(answer)
    return groups


def _correlation(group: Sequence[Measured], figure: Callable[[Measured], float], of: str) -> float | None:
    pairs = [(figure(answer), left) for answer in group if (left := answer.left[of]) is not None]
    if not pairs:
        return None
    x, y = np.array(pairs).T
    return spearman(x, y)


def _quantiles(pairs: Sequence[tuple[float, float]]) -> list[float]:
    ratios = [above / below for above, below in pairs if below > 0]
    return [float(value) for value in np.quantile(ratios, QUANTILES)] if ratios else []


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
