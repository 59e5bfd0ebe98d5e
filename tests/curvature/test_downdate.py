"""Down-dates of inverses, against inverting what is left."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from ifru.curvature.cache import (
    lower_penalty,
    penalty_lowered,
    penalty_lowered_by_torch,
    take_out,
    taken_out,
    taken_out_by_torch,
)
from ifru.curvature.factors import Factors
from ifru.curvature.preconditioner import inverse

PRECISIONS = pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
L2 = 0.05


def block(factors: Tensor) -> Tensor:
    """B of the factors of one row."""
    eye = torch.eye(factors.shape[1], dtype=factors.dtype)
    return factors.mT @ factors + L2 * len(factors) * eye


def down_date(inverses: Tensor, factors: Factors, penalty: Tensor, error: Tensor) -> Tensor:
    """Both parts of deleted interactions."""
    every = np.arange(len(inverses))
    return lower_penalty(inverses, every, penalty, take_out(inverses, every, factors, error))


def ragged(parts: list[Tensor]) -> Factors:
    return Factors(torch.cat(parts), np.concatenate([[0], np.cumsum([len(part) for part in parts])]))


@PRECISIONS
@settings(max_examples=25, deadline=None)
@example(seed=0, width=17, scale=1.0, losses=[[0, 0, 0], [0, 0, 0], [0, 0, 5], [0, 0, 5], [0, 0, 5]])
@example(seed=0, width=17, scale=1.0, losses=[[0, 0, 5]] * 6)
@given(
    seed=st.integers(0, 2**31),
    width=st.sampled_from([1, 3, 8, 17]),
    scale=st.sampled_from([0.1, 1.0, 5.0]),
    losses=st.lists(st.lists(st.integers(0, 5), min_size=3, max_size=3), min_size=1, max_size=6),
)
def test_it_differs_from_a_rebuild_by_no_more_than_it_says(
    dtype: torch.dtype, tolerance: float, seed: int, width: int, scale: float, losses: list[list[int]]
) -> None:
    random = torch.Generator().manual_seed(seed)
    rows = [scale * torch.randn(n, width, generator=random, dtype=torch.float64) for n in (30, 60, 200)]
    inverses = inverse(torch.stack([block(row) for row in rows])).to(dtype)
    error = torch.zeros(3, dtype=dtype)
    for lost in losses:
        gone = ragged([row[:n].to(dtype) for row, n in zip(rows, lost, strict=True)])
        rows = [row[n:] for row, n in zip(rows, lost, strict=True)]
        error = down_date(inverses, gone, L2 * torch.tensor(lost, dtype=dtype), error)
    exact = inverse(torch.stack([block(row) if len(row) > 0 else block(rows[2]) for row in rows]))
    apart = (inverses - exact).flatten(1).norm(dim=1) / exact.flatten(1).norm(dim=1)
    sound = torch.isfinite(error)
    assert (apart[sound] <= error[sound]).all()
    assert scale > 1 or apart[2] <= tolerance
    # The account is careful, and soon asks for a block to be built anew; but not after one or two down-dates.
    assert scale > 1 or len(losses) > 2 or error[2] <= 10 * tolerance


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_row_of_which_little_is_left_is_to_be_built_anew(dtype: torch.dtype) -> None:
    row = torch.randn(10, 4, generator=torch.Generator().manual_seed(0), dtype=dtype)
    inverses = inverse(torch.stack([block(row), block(row)]))
    error = down_date(inverses, ragged([row[:9], row[:0]]), L2 * torch.tensor([9, 0], dtype=dtype), torch.zeros(2))
    assert error[0] == torch.inf
    assert error[1] < 1e-4
    torch.testing.assert_close(inverses[1], inverse(block(row)[None])[0])


@pytest.mark.parametrize("width", [1, 5, 16])
def test_compiled_and_torch_take_out_the_same(width: int) -> None:
    random = torch.Generator().manual_seed(width)
    rows = [torch.randn(n, width, generator=random, dtype=torch.float64) for n in (8, 20, 40)]
    inverses = inverse(torch.stack([block(row) for row in rows]))
    compiled, reference = inverses.clone(), inverses.clone()
    listed = np.array([2, 0, 1])
    some = ragged([rows[2][:5], rows[0][:2], rows[1][:0]])
    ours, theirs = taken_out(compiled, listed, some), taken_out_by_torch(reference, listed, some)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(compiled, reference)
    left = block(rows[2]) - rows[2][:5].mT @ rows[2][:5]
    torch.testing.assert_close(compiled[2], torch.linalg.inv(left))


@pytest.mark.parametrize("width", [1, 5, 20])
def test_compiled_and_torch_lower_the_penalty_alike_and_leave_what_would_lose_too_much(width: int) -> None:
    random = torch.Generator().manual_seed(width)
    blocks = torch.stack([block(torch.randn(n, width, generator=random, dtype=torch.float64)) for n in (8, 20, 40)])
    inverses = inverse(blocks)
    compiled, reference, listed = inverses.clone(), inverses.clone(), np.array([2, 0])
    penalty = torch.tensor([0.05, 1e3], dtype=torch.float64)
    ours, theirs = (
        way(of, listed, penalty) for way, of in ((penalty_lowered, compiled), (penalty_lowered_by_torch, reference))
    )
    torch.testing.assert_close(ours[0], theirs[0])
    torch.testing.assert_close(compiled, reference)
    eye = torch.eye(width, dtype=torch.float64)
    torch.testing.assert_close(compiled[2], torch.linalg.inv(blocks[2] - 0.05 * eye))
    torch.testing.assert_close(compiled[:2], inverses[:2], rtol=0, atol=0)


def test_both_ways_of_taking_out_see_that_nothing_is_left() -> None:
    inverses = torch.eye(2, dtype=torch.float64)[None]
    too_much = Factors(torch.tensor([[2.0, 0.0]], dtype=torch.float64), np.array([0, 1]))
    assert taken_out(inverses.clone(), np.array([0]), too_much)[0].tolist() == [0]
    assert taken_out_by_torch(inverses.clone(), np.array([0]), too_much)[0].tolist() == [0]
