"""How a row of a data file becomes a label."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ifru.errors import DataError

_COMPARISONS: dict[str, Callable[[NDArray[np.float64], float], NDArray[np.bool_]]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "==": operator.eq,
}
_COMPARISON = re.compile(r"(\w+)\s*(>=|<=|==|>|<)\s*(-?\d+(?:\.\d+)?)")
_POSITIVE = re.compile(r"positive(?::(\d+))?")
_FORMS = (
    "'rating>=4' (a column and a threshold), 'rating' (a column as it is), "
    "or 'positive:1' (all rows positive, 1 negative each)"
)


@dataclass(frozen=True)
class LabelRule:
    """A parsed rule.

    column: the column that is read; None where all rows are positive.
    comparison, threshold: label = 1 where the column compares true, else 0; None takes the column as it is.
    negatives: sampled negatives per positive (only where all rows are positive).
    """

    column: str | None
    comparison: str | None = None
    threshold: float = 0.0
    negatives: int = 0

    @staticmethod
    def parse(text: str) -> LabelRule:
        """Read a rule. Raises DataError for a text of no known form."""
        text = text.strip()
        if match := _POSITIVE.fullmatch(text):
            return LabelRule(None, negatives=int(match[1] or 1))
        if match := _COMPARISON.fullmatch(text):
            return LabelRule(match[1], match[2], float(match[3]))
        if re.fullmatch(r"\w+", text):
            return LabelRule(text)
        raise DataError(f"label rule {text!r} is not understood; allowed are {_FORMS}")

    def labels(self, values: NDArray[np.float64] | None, rows: int) -> NDArray[np.float32]:
        """Labels [N] of a column's values [N]. Raises DataError for a column that has the same value everywhere."""
        if values is None:
            return np.ones(rows, dtype=np.float32)
        if rows > 1 and (values == values[0]).all():
            raise DataError(
                f"column {self.column!r} is {values[0]:g} in all {rows:,} rows, so it does not tell what a user likes; "
                "where a row stands for something chosen, use --label positive:1, which takes every row as positive "
                "and draws a negative for each"
            )
        if self.comparison is None:
            return values.astype(np.float32)
        return _COMPARISONS[self.comparison](values, self.threshold).astype(np.float32)
