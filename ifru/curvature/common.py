"""Rows whose blocks have a matrix in common: it is taken apart once, and not built into a block for each of them.

    B_e = C + ρ_e·I + WᵀW,    C = QΛQᵀ,  S = (Λ + ρ_e)^-½        ⇒    B_e⁻¹ = QS (I + VᵀV)⁻¹ SQᵀ,    V = WQS

C is exact where the point is, so that nothing of it is ever out of date. Of (I + VᵀV)⁻¹ the Gram form is taken, which
costs what the row's own factors W cost; where there are none it is nothing, and rows of the same ridge have the same
inverse.

Axes: S listed rows, P rows of one side among them, K columns of a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor

from ifru.curvature.factors import Factors, GramRows, of_rows, whitened_rows
from ifru.interactions.table import Int64
from ifru.objective import Common, Linearised


@dataclass(frozen=True)
class CommonRows:
    """B⁻¹ of rows [P] of one side. axes: Q [K, K]; scale: S [P, K]; own: (I + VᵀV)⁻¹, None where all W are empty.

    at [P], ascending: where they stand in the set.
    """

    axes: Tensor
    scale: Tensor
    own: GramRows | None
    at: Tensor

    def split(self, border: int) -> tuple[CommonRows, CommonRows]:
        """Those of the set's rows before a border, and the others, as parts of two sets."""
        count = int((self.at < border).sum())
        own = (None, None) if self.own is None else self.own.split(count)
        first = CommonRows(self.axes, self.scale[:count], own[0], self.at[:count])
        return first, CommonRows(self.axes, self.scale[count:], own[1], self.at[count:] - border)

    def into(self, x: Tensor, out: Tensor) -> None:
        """out <- B⁻¹x for these rows of x; a row without interactions gives zero."""
        inside = (x[self.at] @ self.axes).mul_(self.scale)
        if self.own is not None:
            turned = torch.empty_like(inside)
            self.own.into(inside, turned)
            inside = turned
        out[self.at] = inside.mul_(self.scale) @ self.axes.T


@dataclass(frozen=True)
class AlikeRows:
    """B⁻¹ of rows [P] of one side that all have the same: inverse [K, K]. Only `empty` [E] ones give zero.

    at [P], ascending: where they stand in the set. empty, ascending: places among them.
    """

    inverse: Tensor
    empty: Tensor
    at: Tensor

    def split(self, border: int) -> tuple[AlikeRows, AlikeRows]:
        """Those of the set's rows before a border, and the others, as parts of two sets."""
        count = int((self.at < border).sum())
        before = int((self.empty < count).sum())
        first = AlikeRows(self.inverse, self.empty[:before], self.at[:count])
        return first, AlikeRows(self.inverse, self.empty[before:] - count, self.at[count:] - border)

    def into(self, x: Tensor, out: Tensor) -> None:
        """out <- B⁻¹x for these rows of x; a row without interactions gives zero."""
        count = len(self.at)
        first = int(self.at[0]) if count else 0
        if count and int(self.at[-1]) - first == count - 1:
            torch.mm(x[first : first + count], self.inverse, out=out[first : first + count])
        else:
            out[self.at] = x[self.at] @ self.inverse
        out[self.at[self.empty]] = 0


def common_rows(point: Linearised, rows: Int64, at: Int64) -> list[CommonRows | AlikeRows]:
    """B⁻¹ of rows [S] of few factors, ascending, at θ; at [S]: where they stand in what they are applied to."""
    halves = point.objective.interactions.halves(rows)
    sides = zip(cast("Common", point).axes, halves, strict=True)
    return [_common_rows(point, rows[half], at[half], *axes) for axes, half in sides if len(rows[half])]


def _common_rows(point: Linearised, rows: Int64, at: Int64, values: Tensor, axes: Tensor) -> CommonRows | AlikeRows:
    device = point.objective.device
    ridge, places = point.objective.ridge[torch.from_numpy(rows).to(device)], torch.from_numpy(at).to(device)
    factors = of_rows(point, rows)
    if len(factors.values) == 0:
        empty, largest = ridge == 0, ridge.max()
        if bool((empty | (ridge == largest)).all()):
            return AlikeRows(axes / (values + largest) @ axes.T, empty.nonzero()[:, 0], places)
    scale = torch.where(ridge[:, None] > 0, (values + ridge[:, None]).rsqrt(), 0)
    if len(factors.values) == 0:
        return CommonRows(axes, scale, None, places)
    turned = (factors.values @ axes) * scale[factors.owner]
    own = whitened_rows(Factors(turned, factors.start), torch.ones_like(ridge), np.arange(len(rows)))
    return CommonRows(axes, scale, own, places)
