"""Inverse blocks: the preconditioner of every solve."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ifru.curvature.preconditioner import apply, inverse


@settings(deadline=None)
@given(seed=st.integers(0, 2**31), rows=st.integers(0, 5), width=st.integers(1, 5))
def test_inverse_blocks_undo_the_blocks(seed: int, rows: int, width: int) -> None:
    random = torch.Generator().manual_seed(seed)
    factor = torch.randn(rows, width, width, generator=random, dtype=torch.float64)
    blocks = factor @ factor.mT + 0.1 * torch.eye(width, dtype=torch.float64)
    x = torch.randn(rows, width, generator=random, dtype=torch.float64)
    solved = apply(inverse(blocks), x)
    torch.testing.assert_close(torch.einsum("skj,sj->sk", blocks, solved), x, rtol=1e-8, atol=1e-8)


def test_a_row_without_interactions_does_not_move() -> None:
    blocks = torch.stack([torch.eye(2), torch.zeros(2, 2)]).double()
    solved = apply(inverse(blocks), torch.ones(2, 2, dtype=torch.float64))
    assert solved.tolist() == [[1, 1], [0, 0]]
