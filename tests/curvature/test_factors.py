"""Factors: the blocks are made of them, and a chunk at a time gives the same ones."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given

from ifru.curvature.factors import by_chunk, of_rows
from tests.objective.dense_reference import Problem, numerical, plain_blocks, problems


@numerical
@given(problem=problems())
def test_blocks_are_made_of_them(problem: Problem) -> None:
    point, rows = problem.point("torch"), problem.support()
    factors = of_rows(point, rows.numpy())
    padded, inside, source = factors.padded(np.arange(len(rows)))
    ridge = torch.diag_embed(point.objective.ridge[rows, None].expand(-1, problem.theta.shape[1]))
    torch.testing.assert_close(padded.mT @ padded + ridge, plain_blocks(problem, rows), rtol=1e-9, atol=1e-9)
    assert inside.sum(1).tolist() == factors.degrees.tolist()
    assert source.tolist() == list(range(len(factors.values)))


@numerical
@given(problem=problems())
def test_chunks_of_them_are_all_of_them(problem: Problem) -> None:
    point, rows = problem.point("compiled"), problem.support().numpy()
    some = list(by_chunk(point, rows, chunk_bytes=100))
    assert [number for part, _ in some for number in rows[part]] == rows.tolist()
    for part, factors in some:
        torch.testing.assert_close(factors.values, of_rows(point, rows[part]).values)
    everything = of_rows(point, rows)
    torch.testing.assert_close(torch.cat([everything.values[:0], *(f.values for _, f in some)]), everything.values)
    assert len(some) == min(len(rows), 1) or everything.values.numel() * 8 > 100
