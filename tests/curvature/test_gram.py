"""Rows of small degree: the Gram form against the blocks that it never builds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given

from ifru.curvature.factors import gram_rows, of_rows, product, whitened
from ifru.curvature.preconditioner import apply, inverse_blocks
from ifru.kernels import gram as gram_kernels
from tests.objective.dense_reference import Problem, numerical, problems

PRECISIONS = pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-2)])


@PRECISIONS
@pytest.mark.parametrize("path", ["compiled", "torch"])
@numerical
@given(problem=problems())
def test_it_is_the_inverse_of_the_block(path: str, dtype: torch.dtype, tolerance: float, problem: Problem) -> None:
    point, rows = problem.point(path, dtype), problem.support().numpy()
    x = problem.normal(len(rows), point.theta.shape[1]).to(dtype)
    point.second[::3] = 0
    expected = apply(inverse_blocks(point, torch.from_numpy(rows)), x)

    found = torch.empty_like(x)
    gram_rows(point, rows, np.arange(len(rows))).into(x, found)
    ridge = point.objective.ridge[torch.from_numpy(rows)]
    reference = product(whitened(of_rows(point, rows), ridge), ridge, x)

    # ‖B⁻¹‖ is 1/ridge at most, and what is rounded is rounded at that scale.
    scale = torch.where(ridge > 0, x.norm(dim=1) / ridge, 0)[:, None]
    assert ((found - expected).abs() <= tolerance * scale).all()
    assert ((reference - expected).abs() <= tolerance * scale).all()


@pytest.mark.parametrize("width", [1, 7, 16, 33])
def test_all_cores_give_what_one_core_gives(width: int) -> None:
    random = np.random.default_rng(width)
    start = np.array([0, 3, 3, 4, 9])
    factors, ridge = random.normal(size=(9, width)), np.array([0.5, 0.0, 1.0, 2.0])
    at, x = np.array([4, 0, 2, 1]), random.normal(size=(5, width))
    one, all_cores = factors.copy(), factors.copy()
    gram_kernels.whiten(one, start, ridge, False)
    gram_kernels.whiten(all_cores, start, ridge, True)
    np.testing.assert_allclose(one, all_cores, rtol=1e-13, atol=1e-15)

    by_one, by_all = np.full_like(x, 7), np.full_like(x, 7)
    gram_kernels.multiply(one, start, ridge, at, x, by_one, False)
    gram_kernels.multiply(one, start, ridge, at, x, by_all, True)
    np.testing.assert_allclose(by_one, by_all, rtol=1e-13, atol=1e-15)
    assert (by_one[3] == 7).all()
    assert not by_one[0].any()
    assert by_one[[1, 2, 4]].all()
