"""Inverses of the Gauss-Newton diagonal blocks: the preconditioner of every solve and the norm of the debt.

A block B_e = Σ w·ℓ''·JJᵀ + λ·deg(e)·I is well conditioned by its penalty, so that its inverse can be held as such.
Axes: S rows, K columns of a row.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ifru.objective.protocol import Objective, Slopes

_CHUNK_BYTES = 1 << 28


def inverse(blocks: Tensor) -> Tensor:
    """B⁻¹ [S, K, K] of positive definite blocks [S, K, K]; a zero block (a row without interactions) gives zero."""
    empty = blocks.diagonal(dim1=1, dim2=2).sum(1) == 0
    if bool(empty.any()):
        eye = torch.eye(blocks.shape[1], dtype=blocks.dtype, device=blocks.device)
        blocks = torch.where(empty[:, None, None], eye, blocks)
    inverses = torch.cholesky_inverse(torch.linalg.cholesky(blocks))
    inverses[empty] = 0
    return inverses


def inverse_blocks(objective: Objective, theta: Tensor, slopes: Slopes, rows: Tensor) -> Tensor:
    """B⁻¹ [S, K, K] of some rows, built in chunks."""
    width = theta.shape[1]
    chunk = max(_CHUNK_BYTES // (width * width * theta.element_size()), 1)
    out = theta.new_empty(len(rows), width, width)
    for first in range(0, len(rows), chunk):
        part = slice(first, first + chunk)
        out[part] = inverse(objective.blocks(theta, slopes, rows[part]))
    return out


def apply(inverses: Tensor, x: Tensor) -> Tensor:
    """B⁻¹ x [S, K], row by row."""
    return torch.bmm(inverses, x[:, :, None])[:, :, 0]
