"""The objective of a version in float64, from its parameters and its retained interactions alone.

Axes: R rows of θ (users first, then items), K columns of a row.
"""

from __future__ import annotations

from torch import Tensor

from ifru.objective.parameters import Parameters
from ifru.proof.duality import Duality, Scores
from ifru.proof.errors import ProofError
from ifru.proof.sums import EPS, Sum, total


def in_float64(parameters: Parameters, duality: Duality) -> Tensor:
    """θ [R, K] in float64, on the CPU. Raises ProofError where shapes or values of the parameters do not fit."""
    for name, rows in zip(("user", "item"), duality.retained.shape, strict=True):
        table, needed = parameters.tables[name], [rows, duality.width]
        if list(table.shape) != needed:
            raise ProofError(
                f"the {name} table is {list(table.shape)}; the data and a model of rank {duality.rank} with "
                f"{duality.width - duality.rank} bias columns need {needed}"
            )
        if not bool(table.isfinite().all()):
            raise ProofError(f"the {name} table holds a value that is not finite")
    return parameters.stacked().detach().cpu().double()


def objective(theta: Tensor, scores: Scores, duality: Duality) -> Sum:
    """L, with a bound on its rounding error, that of the scores included."""
    loss, label, weight = duality.loss, duality.retained.label, duality.retained.weight
    value = loss.value(scores.value, label)
    from_score = scores.error * loss.slope(scores.value, label).abs()
    from_value = 32 * EPS * (value.abs() + (label * scores.value).abs())
    squares = duality.l2 / 2 * duality.penalised * theta.square().sum(1)
    penalty = total(squares, EPS * (theta.shape[1] + 4) * squares)
    return total(weight * value, weight * (from_score + from_value)) + penalty + duality.elsewhere(theta)
