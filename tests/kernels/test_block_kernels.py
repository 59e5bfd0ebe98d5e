"""Inverses of blocks and products with them, against dense linear algebra."""

from __future__ import annotations

import pytest
import torch

from ifru.curvature.preconditioner import apply, inverse
from ifru.interactions.generated import generate
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import split
from ifru.kernels.dispatch import torch_only
from ifru.kernels.outer import AT_ONCE
from ifru.models import model_of
from ifru.models.mf import MFConfig

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


@PRECISIONS
@pytest.mark.parametrize("loss", ["bce", "bpr"])
@pytest.mark.parametrize("width", [1, 7, 8, 9, 16, 17, 33])
def test_blocks_of_rows_with_many_interactions_are_the_sums_that_torch_takes(
    loss: str, width: int, dtype: torch.dtype, tolerance: float
) -> None:
    rule = LabelRule(None, negatives=1) if loss == "bpr" else LabelRule("value", ">=", 4)
    table = split(generate(8, 200, 400, seed=0), rule, 0.0, 0).train
    model = model_of(MFConfig(rank=max(width - 1, 1), bias=width > 1 and loss == "bce", loss=loss, l2=0.1))
    rows = torch.arange(8 + 200)

    def blocks() -> torch.Tensor:
        objective = model.objective(table, torch.device("cpu"), dtype)
        theta = torch.randn(
            len(rows), objective.layout.width, generator=torch.Generator().manual_seed(width), dtype=dtype
        )
        return objective.at(theta).blocks(rows)

    compiled = blocks()
    with torch_only():
        expected = blocks()

    assert table.degree.max() > 2 * AT_ONCE
    torch.testing.assert_close(compiled, expected, rtol=tolerance, atol=tolerance)
