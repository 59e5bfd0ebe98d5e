"""Rows whose blocks have a matrix in common: it is taken apart once, and not built into a block for each of them.

    B_e = C + ρ_e·I + WᵀW,    C = QΛQᵀ,  S = (Λ + ρ_e)^-½        ⇒    B_e⁻¹ = QS (I + VᵀV)⁻¹ SQᵀ,    V = WQS

C is exact where the point is, so that nothing of it is ever out of date. Of (I + VᵀV)⁻¹ the Gram form is taken, which
costs what the row's own factors W cost; where there are none it is nothing.

Axes: S listed rows, P rows of one side among them, K columns of a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor

from ifru.curvature.factors import Factors, GramRows, gram_rows, of_rows, whitened_rows
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


def rows_by_gram(point: Linearised, rows: Int64, at: Int64) -> list[GramRows | CommonRows]:
    """B⁻¹ of rows [S] of few factors, ascending, at θ; at [S]: where they stand in what they are applied to."""
    if len(rows) == 0:
        return []
    if not point.objective.capabilities.common_blocks:
        return [gram_rows(point, rows, at)]
    halves = point.objective.interactions.halves(rows)
    sides = zip(cast("Common", point).axes, halves, strict=True)
    return [_common_rows(point, rows[half], at[half], *axes) for axes, half in sides if len(rows[half])]


def _common_rows(point: Linearised, rows: Int64, at: Int64, values: Tensor, axes: Tensor) -> CommonRows:
    device = point.objective.device
    ridge = point.objective.ridge[torch.from_numpy(rows).to(device), None]
    scale = torch.where(ridge > 0, (values + ridge).rsqrt(), 0)
    factors, own = of_rows(point, rows), None
    if len(factors.values) > 0:
        turned = (factors.values @ axes) * scale[factors.owner]
        own = whitened_rows(Factors(turned, factors.start), torch.ones_like(ridge[:, 0]), np.arange(len(rows)))
    return CommonRows(axes, scale, own, torch.from_numpy(at).to(device))
