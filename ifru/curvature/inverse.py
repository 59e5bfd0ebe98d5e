"""Inverses of the Gauss-Newton diagonal blocks, which preconditioners are made of.

A block B_e = Σ w·ℓ''·JJᵀ + λ·deg(e)·I is well conditioned by its penalty, so that its inverse can be held as such.
Axes: S rows, K columns of a row.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ifru.kernels import blocks as kernels
from ifru.objective.protocol import Objective, Slopes

_CHUNK_BYTES = 1 << 28


def inverse(blocks: Tensor) -> Tensor:
    """B⁻¹ [S, K, K] of positive definite blocks [S, K, K]; a zero block (a row without interactions) gives zero.

    Raises ArithmeticError where a block is neither.
    """
    width = blocks.shape[1]
    out = torch.empty_like(blocks)
    if blocks.device.type == "cpu":
        failed = kernels.invert(blocks.numpy().reshape(-1, width), width, out.numpy().reshape(-1, width))
    else:
        empty = (blocks.diagonal(dim1=1, dim2=2).sum(1) == 0)[:, None, None]
        eye = torch.eye(width, dtype=blocks.dtype, device=blocks.device)
        factors, info = torch.linalg.cholesky_ex(torch.where(empty, eye, blocks))
        out, failed = torch.cholesky_inverse(factors).masked_fill(empty, 0), int((info != 0).sum())
    if failed:
        raise ArithmeticError(f"{failed} of {len(blocks)} curvature blocks are not positive definite")
    return out


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
    if x.device.type != "cpu":
        return torch.bmm(inverses, x[:, :, None])[:, :, 0]
    out = torch.empty_like(x)
    kernels.multiply(inverses.numpy().reshape(-1, x.shape[1]), x.contiguous().numpy(), out.numpy())
    return out
