"""Preconditioners of mixed rows, against dense blocks."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given

from ifru.curvature.factors import GramRows
from ifru.curvature.preconditioner import Blocks, Preconditioner, diagonals, inverse_blocks, whole
from ifru.kernels import blocks as block_kernels
from tests.objective.dense_reference import Problem, numerical, problems


@numerical
@given(problem=problems())
def test_the_whole_of_it_is_the_inverse_of_every_block(problem: Problem) -> None:
    point, rows = problem.point("compiled"), problem.support()
    x = problem.normal(len(rows), point.theta.shape[1])
    exact = torch.einsum("skj,sj->sk", inverse_blocks(point, rows), x)

    found = whole(point, rows.numpy())
    torch.testing.assert_close(found.apply(x), exact, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found.decrements(x), (x * exact).sum(1), rtol=1e-9, atol=1e-9)


@numerical
@given(problem=problems())
def test_rows_past_a_budget_take_their_diagonals_and_keep_their_decrements(problem: Problem) -> None:
    point, rows = problem.point("compiled"), np.arange(len(problem.theta))
    x = problem.normal(*problem.theta.shape)
    everything = whole(point, rows)
    assert everything.fallback is None
    for share in (0, 0.3, 0.8, 1):
        budget = share * held(everything)
        some = whole(point, rows, budget)
        assert held(some) <= budget
        torch.testing.assert_close(some.decrements(x), everything.decrements(x), rtol=1e-9, atol=1e-9)
    assert some.fallback is None


def held(preconditioner: Preconditioner) -> int:
    """Bytes of its inverse blocks, and of the factors of its Gram forms."""
    tensors = [
        part.inverses if isinstance(part, Blocks) else part.whitened.values
        for part in preconditioner.parts
        if isinstance(part, Blocks | GramRows)
    ]
    return sum(tensor.nbytes for tensor in tensors)


@numerical
@given(problem=problems())
def test_rows_that_take_their_diagonals_have_the_decrements_and_products_of_their_blocks(problem: Problem) -> None:
    point = problem.point("compiled")
    rows = torch.from_numpy(np.flatnonzero(point.objective.ridge.numpy() > 0))
    x = problem.normal(len(rows), point.theta.shape[1])
    blocks = point.blocks(rows)

    fallback = diagonals(point, rows.numpy(), np.arange(len(rows)))
    found = Preconditioner((), fallback)
    torch.testing.assert_close(found.apply(x), x / blocks.diagonal(dim1=1, dim2=2), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found.blocks_times(x, x), torch.einsum("skj,sj->sk", blocks, x), rtol=1e-9, atol=1e-9)
    exact = torch.einsum("sk,skj,sj->s", x, inverse_blocks(point, rows), x)
    torch.testing.assert_close(found.decrements(x), exact, rtol=1e-9, atol=1e-9)


def test_listed_blocks_change_the_listed_rows_alone_on_one_core_and_on_all() -> None:
    random = np.random.default_rng(0)
    blocks = random.normal(size=(3, 5, 5))
    blocks += blocks.transpose(0, 2, 1)
    x, place, at = random.normal(size=(4, 5)), np.array([2, 0]), np.array([1, 3])
    for many in (False, True):
        out = np.zeros_like(x)
        block_kernels.multiply(blocks.reshape(-1, 5), place, at, x, out, many)
        np.testing.assert_allclose(out[at], np.einsum("skj,sj->sk", blocks[place], x[at]), rtol=1e-12)
        assert not out[[0, 2]].any()
