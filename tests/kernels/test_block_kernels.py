"""Inverses of blocks and products with them, against dense linear algebra."""

from __future__ import annotations

import pytest
import torch

from ifru.curvature.preconditioner import apply, inverse

PRECISIONS = pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 1e-4)])


def _blocks(width: int, dtype: torch.dtype) -> torch.Tensor:
    tall = torch.randn(7, width, width + 2, dtype=torch.float64, generator=torch.Generator().manual_seed(width))
    return (tall @ tall.mT + 0.3 * torch.eye(width, dtype=torch.float64)).to(dtype)


@PRECISIONS
@pytest.mark.parametrize("width", [1, 2, 5, 8, 16, 17, 40, 64])
def test_inverse_and_product_are_those_of_dense_linear_algebra(
    width: int, dtype: torch.dtype, tolerance: float
) -> None:
    blocks = _blocks(width, dtype)
    exact = torch.linalg.inv(blocks.double())
    found = inverse(blocks)
    x = torch.randn(7, width, dtype=dtype, generator=torch.Generator().manual_seed(0))

    assert torch.equal(found, found.mT)
    assert float((found - exact).norm() / exact.norm()) < tolerance
    torch.testing.assert_close(
        apply(found, x).double(), (found.double() @ x.double()[:, :, None])[:, :, 0], rtol=tolerance, atol=tolerance
    )


@PRECISIONS
def test_a_block_of_nothing_has_an_inverse_of_nothing(dtype: torch.dtype, tolerance: float) -> None:
    blocks = _blocks(5, dtype)
    blocks[3] = 0

    found = inverse(blocks)

    assert not found[3].any()
    assert found[2].any()


@PRECISIONS
def test_a_block_that_is_not_positive_definite_is_an_error(dtype: torch.dtype, tolerance: float) -> None:
    blocks = _blocks(5, dtype)
    blocks[3] *= -1
    blocks[4, 0, 0] = torch.nan

    with pytest.raises(ArithmeticError, match="2 of 7"):
        inverse(blocks)
